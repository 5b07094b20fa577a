package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"time"

	"gorm.io/gorm"
)

// Installation is what this director is.
type Installation struct {
	ID      string    // made at the first start, never changes; 12 lower-case letters and digits
	Name    string    // DEPLOYMENT_NAME
	Fence   uint64    // raised by every Open; epochs of downward calls carry it
	Created time.Time // of the first start
}

type installationRow struct {
	ID           int `gorm:"primaryKey"`
	DeploymentID string
	Name         string
	Fence        uint64
	KeyCheck     []byte
	Created      time.Time
}

func (installationRow) TableName() string { return "installation" }

const (
	defaultName  = "conpaas"
	keyCheckName = "installation"
)

// enter is the first transaction of every Open: it makes the installation at the first start, sees that the key file
// belongs to the database, and raises the fence. The fence is at least the time in seconds, so that a database that
// is restored from a backup still begins with a higher one than its nodes have seen.
func (s *Store) enter(tx *Tx) error {
	var row installationRow
	err := tx.db.First(&row, 1).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		row = installationRow{ID: 1, DeploymentID: newID(12), Name: defaultName, KeyCheck: tx.box.seal(keyCheckName, nil), Created: tx.now}
	case err != nil:
		return err
	}
	if _, err := tx.box.open(keyCheckName, row.KeyCheck); err != nil {
		return err
	}
	if s.opts.Deployment != "" {
		row.Name = s.opts.Deployment
	}
	row.Fence = max(row.Fence+1, uint64(max(0, tx.now.Unix())))
	if err := tx.db.Save(&row).Error; err != nil {
		return fmt.Errorf("raise the fence: %w", err)
	}
	if _, err := tx.tick(); err != nil {
		return err
	}
	s.entered = Installation{ID: row.DeploymentID, Name: row.Name, Fence: row.Fence, Created: row.Created.UTC()}
	return nil
}

// Installation gives what this director is; its Fence is that of this Open.
func (s *Store) Installation() Installation { return s.entered }

// newID makes a random id of n letters and digits that begins with a letter, so that it can be a DNS label.
func newID(n int) string {
	const letters, all = "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789"
	id := make([]byte, n)
	for i := range id {
		from := all
		if i == 0 {
			from = letters
		}
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(from))))
		if err != nil {
			panic(err) // the system has no randomness: nothing that follows could be trusted
		}
		id[i] = from[k.Int64()]
	}
	return string(id)
}
