package recipe

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"conpaas/client/api"
)

// The sections of a recipe file.
const (
	sectionImage      = "image"
	sectionServices   = "services"
	sectionPackages   = "packages"
	sectionPreinstall = "preinstall"
	sectionFirstBoot  = "firstboot"
	sectionNutshell   = "nutshell"
)

// key is one line of a recipe file. Reading, writing and the documentation are made from it.
type key struct {
	section, name string
	help          string // what it says and its values, in lines without the sign of a comment
	get           func(c *Choices) string
	set           func(c *Choices, value string) error
	unset         bool // an empty value is the default, so the file shows the key as a comment
}

// sections gives the sections in the order of a file, with what is said above them.
func sections() [][2]string {
	return [][2]string{
		{sectionImage, "The form of the image, and where it will run."},
		{sectionServices, "The services whose packages the image holds: on or off. A service that is off adds nothing."},
		{sectionPackages, "Packages beside those of the services."},
		{sectionPreinstall, "An application that is put into the image."},
		{sectionFirstBoot, "What every machine does once, before it starts to work."},
		{sectionNutshell, "A whole installation in one virtual machine: director, cps and a local cloud, whose machines have what stands above."},
	}
}

// keys gives every key in the order of a file.
func keys() []key {
	out := []key{
		text(sectionImage, "cloud", "ec2, openstack, opennebula, vbox or local. Default: local, or any that starts the format.", func(c *Choices) *string { return &c.Cloud }),
		text(sectionImage, "hypervisor", "kvm or xen, of a virtual machine. Default: what the cloud has.", func(c *Choices) *string { return &c.Hypervisor }),
		{
			section: sectionImage, name: "container", unset: true,
			help: "true for a container, which has no kernel, false for a virtual machine. Default: true for cloud local, else false.\nThe machines in a nutshell are containers.",
			get: func(c *Choices) string {
				if c.Container == nil {
					return ""
				}
				return strconv.FormatBool(*c.Container)
			},
			set: func(c *Choices, value string) error {
				if value == "" {
					c.Container = nil
					return nil
				}
				on, err := truth(value)
				c.Container = &on
				return err
			},
		},
		text(sectionImage, "format", "rootfs, lxc or oci of a container; raw, qcow2, vdi or ova of a virtual machine. Default: what the cloud takes.", func(c *Choices) *string { return &c.Format }),
		text(sectionImage, "filename", "File for a copy of the image; one that ends in .tar.gz, .tar.xz or .tar.zst is packed. Default: it stays in the cache alone.", func(c *Choices) *string { return &c.Filename }),
		{
			section: sectionImage, name: "filesize", help: "Size of a disk in MiB; 0 for the smallest that holds everything.",
			get: func(c *Choices) string { return strconv.FormatInt(c.Filesize, 10) },
			set: func(c *Choices, value string) (err error) {
				if c.Filesize, err = strconv.ParseInt(value, 10, 64); err != nil || c.Filesize < 0 {
					return fmt.Errorf("%q is no number of MiB", value)
				}
				return nil
			},
		},
		{
			section: sectionImage, name: "optimize", help: "true to leave out what machines can do without: documentation, translations, recommended packages, caches; and a disk with little free space.",
			get: func(c *Choices) string { return strconv.FormatBool(c.Optimize) },
			set: func(c *Choices, value string) (err error) {
				c.Optimize, err = truth(value)
				return err
			},
		},
		text(sectionImage, "distribution", "debian-12.", func(c *Choices) *string { return &c.Distribution }),
		text(sectionImage, "architecture", "amd64, or arm64 for containers.", func(c *Choices) *string { return &c.Architecture }),
		text(sectionImage, "mirror", "URL of a Debian mirror, like http://mirror.example.org/debian. Default: where this host takes its packages from.", func(c *Choices) *string { return &c.Mirror }),
		text(sectionImage, "security_mirror", "URL of its security updates. Default: the mirror's with /debian-security.", func(c *Choices) *string { return &c.SecurityMirror }),
	}
	for _, kind := range api.Catalogue() {
		out = append(out, service(kind))
	}
	return append(
		out,
		key{
			section: sectionPackages, name: "extra", help: "Names, with spaces or commas between them.", unset: true,
			get: func(c *Choices) string { return strings.Join(c.Extra, " ") },
			set: func(c *Choices, value string) error {
				c.Extra = words(value)
				for _, name := range c.Extra {
					if !packageName.MatchString(name) {
						return fmt.Errorf("%q is not the name of a package", name)
					}
				}
				return nil
			},
		},
		key{
			section: sectionPreinstall, name: "copy", unset: true,
			help: "SOURCE:TARGET, more of them with spaces or commas between. SOURCE is a file, a directory or an archive (.tar, .tar.gz, .tar.xz, .tar.zst)\nbeside this file; TARGET its path in the image: of a file its name, else the directory for the content.",
			get: func(c *Choices) string {
				var out []string
				for _, p := range c.Copies {
					out = append(out, p.From+":"+p.To)
				}
				return strings.Join(out, " ")
			},
			set: func(c *Choices, value string) error {
				c.Copies = nil
				for _, word := range words(value) {
					from, to, ok := strings.Cut(word, ":")
					if !ok || from == "" || to == "" {
						return fmt.Errorf("%q is not SOURCE:TARGET", word)
					}
					c.Copies = append(c.Copies, Copy{From: from, To: to})
				}
				return nil
			},
		},
		text(sectionPreinstall, "script", "Program beside this file that is run in the image, as root, when packages and copies are there.", func(c *Choices) *string { return &c.Script }),
		text(sectionFirstBoot, "script", "Program beside this file that each machine runs as root at its first boot.", func(c *Choices) *string { return &c.FirstBoot }),
		key{
			section: sectionNutshell, name: "nutshell", help: "true for such a virtual machine.",
			get: func(c *Choices) string { return strconv.FormatBool(c.Nutshell) },
			set: func(c *Choices, value string) (err error) {
				c.Nutshell, err = truth(value)
				return err
			},
		},
		text(sectionNutshell, "hostname", "Its name, and the director's, which its users must be able to resolve. Default: nutshell.", func(c *Choices) *string { return &c.Hostname }),
		text(sectionNutshell, "programs", "Directory with cps, cpsdirector, cpsmanager, cpsagent and cpsimage. Default: that of cpsimage.", func(c *Choices) *string { return &c.Programs }),
	)
}

// text is a key whose value is taken as it is.
func text(section, name, help string, at func(c *Choices) *string) key {
	empty := Default()
	return key{
		section: section, name: name, help: help, unset: *at(&empty) == "",
		get: func(c *Choices) string { return *at(c) },
		set: func(c *Choices, value string) error {
			*at(c) = value
			return nil
		},
	}
}

func service(kind api.ServiceKind) key {
	return key{
		section: sectionServices, name: string(kind.Type), help: kind.Description + ".",
		get: func(c *Choices) string {
			if slices.Contains(c.Off, kind.Type) {
				return "off"
			}
			return "on"
		},
		set: func(c *Choices, value string) error {
			on, err := truth(value)
			c.Off = slices.DeleteFunc(c.Off, func(t api.ServiceType) bool { return t == kind.Type })
			if !on {
				c.Off = append(c.Off, kind.Type)
			}
			return err
		},
	}
}

func truth(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true", "on", "yes":
		return true, nil
	case "false", "off", "no":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither on nor off, true nor false", value)
}

func words(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' })
}

// At gives the choices with the paths of what goes into the image below a directory, that of the file.
func (c Choices) At(dir string) Choices {
	at := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	c.Copies = slices.Clone(c.Copies)
	for i := range c.Copies {
		c.Copies[i].From = at(c.Copies[i].From)
	}
	c.Script, c.FirstBoot, c.Programs = at(c.Script), at(c.FirstBoot), at(c.Programs)
	return c
}
