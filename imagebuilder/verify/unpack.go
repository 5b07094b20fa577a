package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"conpaas/imagebuilder/container"
	"conpaas/imagebuilder/disk"
)

// unpackers are the programs that unpack an archive, with their packages.
var unpackers = map[string][2]string{"gz": {"gzip", "gzip"}, "xz": {"xz", "xz-utils"}, "zst": {"zstd", "zstd"}}

// bootable gives the image in a form that the local cloud boots, made in a directory if it is none: raw and qcow2, tar and tar.gz.
func (i Image) bootable(ctx context.Context, dir string, step func(string)) (Image, error) {
	out := Image{Path: filepath.Join(dir, "image"), Disk: i.Disk, Form: "tar"}
	switch i.Form {
	case "raw", "qcow2":
		return i, nil
	case "vdi", "ova":
		step("reading the disk of the " + i.Form)
		out.Form = "raw"
		return out, disk.Read(ctx, i.Path, i.Form, out.Path)
	case "tar":
		if i.Pack == "" || i.Pack == "gz" {
			return i, nil
		}
	}
	if i.Pack != "" {
		step("unpacking it (" + i.Pack + ")")
		plain := filepath.Join(dir, "unpacked")
		if err := unpack(ctx, i.Pack, i.Path, plain); err != nil {
			return out, fmt.Errorf("unpack %s: %w", i.Path, err)
		}
		i.Path, i.Pack = plain, ""
	}
	switch i.Form {
	case "lxc":
		step("taking the root file system out of the container")
		return out, container.ReadLXC(ctx, i.Path, out.Path)
	case "oci":
		step("taking the layer out of the layout")
		out.Pack = "gz"
		return out, container.ReadOCI(ctx, i.Path, out.Path)
	}
	return i, nil
}

// unpack unpacks an archive into another file.
func unpack(ctx context.Context, pack, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	c, err := unpackProgram(ctx, pack, in)
	if err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	var said bytes.Buffer
	c.Stdout, c.Stderr = out, &said
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", c.Args[0], err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

// unpacker gives what is in an archive, as far as it is read; end ends the program that unpacks it.
func unpacker(ctx context.Context, pack string, in io.Reader) (out io.Reader, end func(), err error) {
	c, err := unpackProgram(ctx, pack, in)
	if err != nil {
		return nil, nil, err
	}
	out, err = c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return nil, nil, err
	}
	return out, func() {
		_ = c.Process.Kill() // it may have ended by itself
		_ = c.Wait()
	}, nil
}

func unpackProgram(ctx context.Context, pack string, in io.Reader) (*exec.Cmd, error) {
	program := unpackers[pack]
	if _, err := exec.LookPath(program[0]); err != nil {
		return nil, fmt.Errorf("this host lacks %s; run: apt-get install %s", program[0], program[1])
	}
	c := exec.CommandContext(ctx, program[0], "--decompress", "--stdout")
	c.Stdin = in
	return c, nil
}
