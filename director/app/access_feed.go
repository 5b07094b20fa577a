package app

import (
	"strconv"

	"conpaas/client/api"
)

// WatchAccess gives a channel that is sent to when what opened a user's account, or an application for it, may have ended, until
// stop is called.
func (d *Director) WatchAccess(user api.UserID) (c <-chan struct{}, stop func()) {
	return d.feed.watch(accessKey(user))
}

// accessChanged wakes the streams of a user, which look whether they may go on.
func (d *Director) accessChanged(user api.UserID) { d.feed.changed(accessKey(user)) }

func accessKey(user api.UserID) string { return "u" + strconv.FormatInt(int64(user), 10) }
