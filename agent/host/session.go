package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

const (
	sessionPoll = 5 * time.Millisecond
	sessionTime = 10 * time.Second // for killed processes to be gone; longer ones hang in the kernel
)

// endSession kills every process of a session until none is left but ones that wait to be reaped.
func endSession(session int) error {
	ticker := time.NewTicker(sessionPoll)
	defer ticker.Stop()
	timer := time.NewTimer(sessionTime)
	defer timer.Stop()
	for {
		alive, err := sessionMembers(session)
		if err != nil || len(alive) == 0 {
			return err
		}
		for _, pid := range alive {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill process %d of session %d: %w", pid, session, err)
			}
		}
		select {
		case <-ticker.C:
		case <-timer.C:
			return fmt.Errorf("session %d: the processes %v were killed and do not end", session, alive)
		}
	}
}

// sessionMembers lists the processes of a session that are not zombies.
func sessionMembers(session int) ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it has ended
		}
		if state, of, ok := parseStat(stat); ok && of == session && state != 'Z' && state != 'X' {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// parseStat reads state and session from /proc/PID/stat (proc(5)): they are the first and fourth field after the
// program's name, which stands in parentheses and may hold anything.
func parseStat(stat []byte) (state byte, session int, ok bool) {
	_, rest, found := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest)
	if !found || len(fields) < 4 {
		return 0, 0, false
	}
	session, err := strconv.Atoi(string(fields[3]))
	return fields[0][0], session, err == nil
}
