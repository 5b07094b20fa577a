package path

// Knocks is how many handshakes the selector has heard of lately.
func (s *Selector) Knocks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.knocks)
}
