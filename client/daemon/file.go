package daemon

import (
	"fmt"
	"os"
)

// WriteFile puts data into the file at path with exactly this mode, so that at any moment, and after a loss of power, the
// file has either its old or its new content. The directory must exist.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	if err := replace(path, data, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
