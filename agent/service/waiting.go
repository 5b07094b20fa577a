package service

// Waiting is the error of a role that waits for something and goes on as it is until then: it is not applied, and
// has not failed.
type Waiting struct {
	For  string // what it waits for, and how far that is
	Busy bool   // the half itself works on it, and is to be called again soon
}

// Error says that it waits, and for what.
func (w *Waiting) Error() string { return "it waits: " + w.For }

// Waits tells whether an error of a role is made of Waiting alone, and whether one of them is Busy.
func Waits(err error) (waits, busy bool) {
	switch e := err.(type) { //nolint:errorlint // each error of a joined one counts, not the first that fits
	case nil:
		return false, false
	case *Waiting:
		return true, e.Busy
	case interface{ Unwrap() []error }:
		waits = true
		for _, one := range e.Unwrap() {
			w, b := Waits(one)
			waits, busy = waits && w, busy || b
		}
		return waits, waits && busy
	case interface{ Unwrap() error }:
		return Waits(e.Unwrap())
	}
	return false, false
}

// Closer is a Half that works in the background. Close ends that work and waits for its end; what runs on the machine
// goes on. It is called once, when the agent ends or the node gets another type; the Half is not used after it.
type Closer interface {
	Close()
}
