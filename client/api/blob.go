package api

// Blob is how much of a blob a component has. A blob is a file that is named by its SHA-256 in lower-case hex.
type Blob struct {
	Length   int64 // bytes
	Complete bool  // all, and their SHA-256 is the blob's name
}

// BlobPart is what a PUT of a blob carries: the bytes from Offset to the end of a blob of Total bytes.
type BlobPart struct {
	Offset, Total int64
}

// MaxBlob is how many bytes a blob may have.
const MaxBlob = 4 << 30
