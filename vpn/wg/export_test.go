package wg

import "time"

// SetPatience shortens the wait for a device that does not answer.
func (d *Device) SetPatience(p time.Duration) { d.patience = p }
