package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"conpaas/director/store"
)

func newAuditCommand(g *global) *cobra.Command {
	var output string
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Verify that nobody has changed the audit log",
		Long: `Read the whole audit log and see that every entry follows the one before: each has a hash over itself and the
hash before it, made with the key file of the data folder. The first entry that was changed, added or is missing is
named. It works while the director serves and while it does not, and changes nothing.

Keep the hash of the last entry elsewhere now and then: by it one can tell whether the end of the log was cut off and
written anew with the key.

Exit codes: 0 the log is whole, 1 it is not, or could not be read.`,
		Example: "  cpsdirector audit verify\n  cpsdirector audit verify --data /var/lib/cpsdirector -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("--output %q: want table or json", output)
			}
			config, err := g.read()
			if err != nil {
				return err
			}
			if _, err := os.Stat(config.Database); errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("there is no database %s; name the data folder with --data", config.Database)
			}
			end, err := store.VerifyAudit(c.Context(), config.Dir, config.Database)
			if err != nil {
				return err
			}
			if output == "json" {
				return json.NewEncoder(c.OutOrStdout()).Encode(end)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "the audit log is whole: %d entries, the last is %d of %s with the hash %s\n", end.Entries, end.Last, end.Time.Format(time.RFC3339), end.Hash)
			return err
		},
	}
	verify.Flags().StringVarP(&output, "output", "o", "table", "`format`: table or json")
	c := &cobra.Command{Use: "audit", Short: "The audit log"}
	c.AddCommand(verify)
	return c
}
