package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
)

func newInstallLinksCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:   "install-links DIR",
		Short: "Link the names of the original tools to this program",
		Long: `Link the names of the original tools to this program, in a folder: cps-tools, cpsclient, and a shortcut such as
cps-service for every noun. Links that are there are made anew; other files are left alone, and named.`,
		Example: `cps install-links /usr/local/bin`,
		Args:    words("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("install links: find this program: %w", err)
			}
			if program, err = filepath.EvalSymlinks(program); err != nil {
				return fmt.Errorf("install links: find this program: %w", err)
			}
			names, problems := []string{}, []error{}
			for _, name := range shortcuts(g) {
				if err := link(program, args[0], name); err != nil {
					problems = append(problems, fmt.Errorf("install link %s: %w", name, err))
					continue
				}
				names = append(names, name)
			}
			if err := g.say(names, "%d names in %s are this program now.", len(names), args[0]); err != nil {
				return err
			}
			return errors.Join(problems...)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
}

// link makes dir/name the program. A link to a program in the same folder is relative, so that both may move; on
// Windows, where symbolic links are for administrators, it is a hard link.
func link(program, dir, name string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	path, target := filepath.Join(dir, name), program
	place := os.Symlink
	if runtime.GOOS == "windows" {
		path, place = path+".exe", os.Link
	} else if folder, err := filepath.EvalSymlinks(dir); err == nil && folder == filepath.Dir(program) {
		target = filepath.Base(program)
	}
	if old, err := os.Lstat(path); err == nil {
		ours, err := os.Stat(program)
		if err != nil {
			return err
		}
		if old.Mode()&fs.ModeSymlink == 0 && !os.SameFile(old, ours) {
			return fmt.Errorf("%s is there and is no link; remove it first", path)
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return place(target, path)
}
