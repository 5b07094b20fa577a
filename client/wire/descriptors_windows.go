package wire

// maxConnections is how many connections may be open; Windows bounds them by memory only.
func maxConnections() int {
	const descriptors = 1 << 16
	return int(descriptors * descriptorShare)
}
