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

// WriteVolatile is WriteFile for what is made anew after a loss of power, and may be damaged then: it does not wait for the
// disk. One caller at a time may write a path.
func WriteVolatile(path string, data []byte, mode os.FileMode) error {
	fresh := path + ".new"
	err := os.WriteFile(fresh, data, mode)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh) // the next one takes its place anyway
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
