package hosting

import (
	"context"
	"fmt"
	"time"

	"conpaas/client/api"
)

// Programs lock a session by a key whose value begins with "<host name>|", and release it when the request ends.
const (
	lockHolder = "%s|"
	locksTime  = 10 * time.Second // for looking through all sessions
	keysAtOnce = "1000"
)

// A lock is released only while it is still the holder's.
const releaseLock = `local v = redis.call("get", KEYS[1])
if v and string.sub(v, 1, string.len(ARGV[1])) == ARGV[1] then return redis.call("del", KEYS[1]) end
return 0`

// ReleaseLocks releases the sessions that the programs of a machine have locked, for none of them lives any more: keys is the pattern
// of the locks, name that of the machine. It gives how many there were.
func ReleaseLocks(ctx context.Context, at api.SessionsStore, keys, name string) (released int64, err error) {
	r, err := loginRedis(ctx, at, locksTime)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for cursor := "0"; ; {
		answer, err := r.do("SCAN", cursor, "MATCH", keys, "COUNT", keysAtOnce)
		if err != nil {
			return released, err
		}
		page, _ := answer.([]any)
		if len(page) != 2 {
			return released, fmt.Errorf("redis answers %.200v when it is asked for its keys", answer)
		}
		next, ok := page[0].(string)
		found, isList := page[1].([]any)
		if !ok || !isList {
			return released, fmt.Errorf("redis answers %.200v when it is asked for its keys", answer)
		}
		for _, k := range found {
			key, _ := k.(string)
			answer, err := r.do("EVAL", releaseLock, "1", key, fmt.Sprintf(lockHolder, name))
			if err != nil {
				return released, err
			}
			if n, ok := answer.(int64); ok {
				released += n
			}
		}
		if cursor = next; cursor == "0" { // it has come round
			return released, nil
		}
	}
}
