package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"conpaas/imagebuilder/recipe"
)

func newInitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a recipe file with the defaults, each explained",
		Long: `Write a recipe file (default: conpaas.cfg) in which every key has its default and a comment that says what it
means; - is standard output. A file that is there is not touched. Change what you want otherwise, then run:
cpsimage build --recipe FILE.`,
		Example: "  cpsimage init\n  cpsimage init /srv/images/php.cfg\n  cpsimage init -",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "conpaas.cfg"
			if len(args) > 0 {
				name = args[0]
			}
			if name == "-" {
				return recipe.Default().Write(cmd.OutOrStdout())
			}
			f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("write the recipe: %s is there already: name another file, or remove it", name)
			}
			if err != nil {
				return fmt.Errorf("write the recipe: %w", err)
			}
			if err := errors.Join(recipe.Default().Write(f), f.Close()); err != nil {
				return errors.Join(fmt.Errorf("write the recipe %s: %w", name, err), os.Remove(name))
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), name)
			return err
		},
	}
}
