package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// markName is the variable in the environment of a program, and of all that it starts, by which they are found.
const markName = "CONPAAS_PROC"

// stat is a part of /proc/PID/stat (proc(5)).
type stat struct {
	pid     int
	state   byte // of its first thread; Z: zombie, X: dead, else alive
	session int
	threads int
	start   uint64 // clock ticks since the boot of the kernel
}

// alive tells whether one of its threads is. The first one may end before the others, and does for a moment whenever another becomes a new
// program (execve).
func (s stat) alive() bool {
	return s.threads > 1 || s.state != 'Z' && s.state != 'X' && s.state != 'x'
}

// readStat reads what the kernel says of a process. What looks dead is looked at twice: the file may be of the first thread just as another one has
// taken its place and its id.
func readStat(pid int) (stat, error) {
	s, err := readStatOnce(pid)
	if err != nil || !s.alive() {
		return readStatOnce(pid)
	}
	return s, nil
}

func readStatOnce(pid int) (stat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(text)
}

// parseStat reads one line of stat. The second field is the program's name in brackets and may hold anything, brackets and
// spaces included.
func parseStat(text []byte) (stat, error) {
	head, rest, ok := bytes.Cut(text, []byte(" ("))
	end := bytes.LastIndexByte(rest, ')')
	if !ok || end < 0 {
		return stat{}, fmt.Errorf("read process: %.40q is no line of stat", text)
	}
	fields := strings.Fields(string(rest[end+1:])) // the third field of the line is fields[0]
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, fmt.Errorf("read process: %.40q is no line of stat", text)
	}
	pid, err1 := strconv.Atoi(string(head))
	session, err2 := strconv.Atoi(fields[3])
	threads, err3 := strconv.Atoi(fields[17])
	start, err4 := strconv.ParseUint(fields[19], 10, 64)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return stat{}, fmt.Errorf("read process: %w", err)
	}
	return stat{pid: pid, state: fields[0][0], session: session, threads: threads, start: start}, nil
}

// readAll lists all processes. Those that end meanwhile are left out.
func readAll() ([]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []stat
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			all = append(all, s)
		}
	}
	return all, nil
}

// marked tells whether the environment with which a process was started has the mark.
func marked(pid int, mark string) bool {
	if mark == "" {
		return false
	}
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return false
	}
	for variable := range bytes.SplitSeq(text, []byte{0}) {
		if string(variable) == markName+"="+mark {
			return true
		}
	}
	return false
}

// findMarked finds the leader of the session of a program that was started, but whose starter died before it could keep
// the process id; nil where there is none.
func findMarked(mark string) (*stat, error) {
	all, err := readAll()
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.session == s.pid && s.alive() && marked(s.pid, mark) {
			return &s, nil
		}
	}
	return nil, nil
}

// olderThanBoot tells whether a file was written before the kernel's last boot.
func olderThanBoot(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	var system unix.Sysinfo_t
	if err := unix.Sysinfo(&system); err != nil {
		return false, err
	}
	return time.Since(info.ModTime()) > time.Duration(system.Uptime+1)*time.Second, nil
}

// bootID names the boot of the machine: that of the kernel and, for a container, that of its first program.
func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("name the boot of the machine: %w", err)
	}
	first, err := readStat(1)
	if err != nil {
		return "", fmt.Errorf("name the boot of the machine: %w", err)
	}
	return fmt.Sprintf("%s/%d", bytes.TrimSpace(text), first.start), nil
}
