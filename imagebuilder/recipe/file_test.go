package recipe

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conpaas/client/api"
)

func write(t interface{ Fatal(...any) }, c Choices) []byte {
	var out bytes.Buffer
	if err := c.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A file that says nothing, and the one that init writes, are the defaults.
func TestDefaults(t *testing.T) {
	for name, text := range map[string][]byte{"empty": nil, "a comment": []byte("# x\n; y\n"), "written": write(t, Default())} {
		c, err := Parse(text)
		if d := cmp.Diff(Default(), c); d != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, d)
		}
	}
}

func TestEveryKeyIsWrittenWithItsHelp(t *testing.T) {
	text := string(write(t, Default()))
	for _, k := range keys() {
		if !strings.Contains(text, k.name+" =") || !strings.Contains(text, "# "+strings.Split(k.help, "\n")[0]) {
			t.Errorf("[%s] %s is not in the file:\n%s", k.section, k.name, text)
		}
	}
	for _, kind := range api.Catalogue() {
		if !strings.Contains(text, "\n"+string(kind.Type)+" = on\n") {
			t.Errorf("%s is not there", kind.Type)
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	for _, tt := range [][2]string{
		{"cloud = local\n", "cloud stands before the first section, which should be one of: image, services"},
		{"[imgae]\ncloud = local\n", "unknown section [imgae]; the nearest known one is [image]"},
		{"[Image]\n", "the nearest known one is [image]"},
		{"[nutshell]\nnutshel = true\n", "[nutshell] nutshel: unknown key; the nearest known one is nutshell"},
		{"[nutshell]\nnutshell = yes please\n", `[nutshell] nutshell: "yes please" is neither`},
		{"[image]\nclod = ec2\n", "[image] clod: unknown key; the nearest known one is cloud"},
		{"[services]\nphpp = on\n", "[services] phpp: unknown key; the nearest known one is php"},
		{"[services]\nphp = maybe\n", `[services] php: "maybe" is neither on nor off`},
		{"[image]\ncontainer = 1\n", `[image] container: "1" is neither`},
		{"[image]\noptimize =\n", `[image] optimize: "" is neither`},
		{"[image]\nfilesize = 3G\n", `[image] filesize: "3G" is no number of MiB`},
		{"[image]\nfilesize = -1\n", "no number of MiB"},
		{"[image]\ncloud = ec2\ncloud = ec2\n", "[image] cloud: want one line with one value"},
		{"[image]\n[services]\n[image]\n", "section [image] is there twice"},
		{"[image]\ncloud\n", "cloud"},
		{"[image]\ncloud = \"\"\"a\nb\"\"\"\n", "want one line"},
		{"[packages]\nextra = --purge\n", `[packages] extra: "--purge" is not the name of a package`},
		{"[preinstall]\ncopy = app\n", `[preinstall] copy: "app" is not SOURCE:TARGET`},
		{"[image]\ncloud = \xff\n", "not a text of UTF-8"},
		{"[image]\ncloud = a\x00b\n", "not a text of UTF-8"},
		{"[image]\nclod = x\nformt = y\n", "format"}, // all mistakes at once
		{"#" + strings.Repeat("x", largest), "more than"},
	} {
		if c, err := Parse([]byte(tt[0])); err == nil || !strings.Contains(err.Error(), tt[1]) {
			t.Errorf("%.40q gives %+v, %v; want %q", tt[0], c, err, tt[1])
		}
	}
}

func TestPathsAreOfTheFilesDirectory(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "x.cfg")
	text := "[image]\nfilename = out.tar\n[preinstall]\ncopy = app:/srv/app, /a/b:/etc/b\nscript = in.sh\n[firstboot]\nscript = /s/first.sh\n[nutshell]\nprograms = bin\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Filename, want.Script, want.FirstBoot = "out.tar", filepath.Join(dir, "in.sh"), "/s/first.sh"
	want.Programs = filepath.Join(dir, "bin")
	want.Copies = []Copy{{filepath.Join(dir, "app"), "/srv/app"}, {"/a/b", "/etc/b"}}
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
	if _, err := ReadFile(name + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(name, []byte("[x]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(name); !errors.Is(err, ErrRecipe) || !strings.Contains(err.Error(), name) {
		t.Errorf("a wrong file: %v", err)
	}
}

// What is chosen is read back from the file that is written of it.
func TestChoicesSurviveTheFile(t *testing.T) {
	words := func(pattern string) *rapid.Generator[string] { return rapid.StringMatching(pattern) }
	rapid.Check(t, func(t *rapid.T) {
		c := Default()
		c.Cloud = rapid.SampledFrom(append(clouds(), "")).Draw(t, "cloud")
		c.Hypervisor = rapid.SampledFrom([]string{"", "kvm", "xen"}).Draw(t, "hypervisor")
		if rapid.Bool().Draw(t, "says container") {
			on := rapid.Bool().Draw(t, "container")
			c.Container = &on
		}
		c.Format = string(rapid.SampledFrom(append(Formats(), "")).Draw(t, "format"))
		c.Filename = words(`([a-z#;="' %\\]*[a-z.])?`).Draw(t, "filename")
		c.Filename = strings.TrimSpace(c.Filename)
		for strings.HasPrefix(c.Filename, `"""`) { // begins a value of many lines, which a recipe does not have
			c.Filename = c.Filename[1:]
		}
		c.Filesize = rapid.Int64Range(0, largestDisk).Draw(t, "filesize")
		c.Optimize = rapid.Bool().Draw(t, "optimize")
		c.Mirror = words(`(https?://[a-z.]+/[a-z%]*)?`).Draw(t, "mirror")
		for _, kind := range api.Catalogue() {
			if rapid.Bool().Draw(t, "off") {
				c.Off = append(c.Off, kind.Type)
			}
		}
		c.Extra = rapid.SliceOfNDistinct(words(`[a-z0-9][a-z0-9+.-]+`), 0, 4, rapid.ID).Draw(t, "extra")
		for range rapid.IntRange(0, 3).Draw(t, "copies") {
			c.Copies = append(c.Copies, Copy{words(`[a-z./]+`).Draw(t, "from"), words(`/[a-z./]+`).Draw(t, "to")})
		}
		c.Script, c.FirstBoot = words(`([a-z]+\.sh)?`).Draw(t, "script"), words(`([a-z]+\.sh)?`).Draw(t, "first")
		c.Nutshell = rapid.Bool().Draw(t, "nutshell")
		c.Hostname, c.Programs = words(`([a-z.-]+)?`).Draw(t, "hostname"), words(`([a-z/]+)?`).Draw(t, "programs")
		text := write(t, c)
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if len(c.Extra) == 0 {
			c.Extra = nil
		}
		if d := cmp.Diff(c, again); d != "" {
			t.Fatalf("%s\n%s", d, text)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("[image]\ncloud = ec2\n[packages]\nextra = a, b\n"))
	f.Add([]byte("[preinstall]\ncopy = a:/b\nscript=`x`\n[services]\nphp=off"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		if r, err := c.Recipe(); err != nil && !errors.Is(err, ErrRecipe) {
			t.Fatalf("%v: %v", r, err)
		}
		again, err := Parse(write(t, c))
		if d := cmp.Diff(c, again); d != "" || err != nil {
			t.Fatalf("%q: %v\n%s", text, err, d)
		}
	})
}
