package disk

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"math"
	"os"
	"strconv"
)

//go:embed tree.sh
var treeScript string

// tree is the directory that a root file system is unpacked into.
type tree struct {
	path  string
	bytes int64 // that the files take
}

// writeRoot makes the root file system. Its features are those that GRUB 2.06 reads, whatever this host's mke2fs.conf has.
func writeRoot(ctx context.Context, t tree, rootTar, file string, root partition, o Options) error {
	namespace := []string{"unshare", "--mount"}
	if os.Geteuid() != 0 {
		namespace = append(namespace, "--user", "--map-auto", "--map-root-user")
	}
	args := append(namespace, "--", "sh", "-c", treeScript, "tree.sh", strconv.FormatInt(t.memory(available()), 10), t.path, rootTar,
		"-q", "-F", "-t", "ext4", "-L", "conpaas",
		"-b", strconv.Itoa(block), "-i", strconv.Itoa(perInode), "-I", "256", "-m", "1", "-J", fmt.Sprintf("size=%d", journal/mib),
		"-O", "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum",
		"-E", fmt.Sprintf("offset=%d,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0", root.start),
		file, fmt.Sprintf("%dk", (root.end-root.start)/1024),
	)
	return run(ctx, o, args[0], args[1:]...)
}

// memory gives how many bytes of memory the tree may take: twice what it needs, if so many are there; 0: it is to be on the disk.
// Blocks for thousands of little files, which are removed at once, take a file system several times as long as memory.
func (t tree) memory(available int64) int64 {
	if 2*t.bytes > available {
		return 0
	}
	return 2 * t.bytes
}

// available gives the bytes of memory that programs may take without any being swapped out, by the kernel's estimate and
// by the limit of the container that this may run in; 0: nobody knows.
func available() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	var kib int64
	for line := range bytes.Lines(text) {
		if n, _ := fmt.Sscanf(string(line), "MemAvailable: %d kB", &kib); n == 1 {
			break
		}
	}
	return min(kib*1024, limit("/sys/fs/cgroup/memory.max"), limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
}

// limit reads a limit of a control group; the file of one without is not there or says so in words.
func limit(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return math.MaxInt64
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n
}
