//go:build linux

package wg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/ipc"
	"golang.zx2c4.com/wireguard/tun"
)

// DefaultMTU leaves room for the 60 to 80 bytes that WireGuard adds on a 1500-byte network.
const DefaultMTU = 1420

// memoryLimit bounds the process of the userspace data plane. Without a limit a busy link grows it to 300 MB;
// with this one it moves 2.9 Gbit/s in 56 to 101 MB.
const memoryLimit = 128 << 20

// RunUserspace is the body of `cpsagent overlay` and `cpsmanager overlay`: a process that does nothing else.
// It makes the TUN device iface (mtu in bytes, 0 for DefaultMTU) and the socket /var/run/wireguard/iface.sock
// through which it is configured from outside (Setup, Open), so that it outlives restarts of its starter. It
// returns nil when ctx ends; the device is gone then. It sets the memory limit of the whole process, and
// its sockets land in the network namespace that the process was started in: never call it in a process that
// enters namespaces.
func RunUserspace(ctx context.Context, log *slog.Logger, iface string, mtu int) error {
	if err := checkInterface(iface); err != nil {
		return err
	}
	if mtu == 0 {
		mtu = DefaultMTU
	}
	debug.SetMemoryLimit(memoryLimit)
	link, err := tun.CreateTUN(iface, mtu)
	if err != nil {
		return fmt.Errorf("make the overlay device %s (is /dev/net/tun there, and CAP_NET_ADMIN?): %w", iface, err)
	}
	file, err := ipc.UAPIOpen(iface)
	if err != nil {
		return errors.Join(fmt.Errorf("open the control socket of overlay device %s (does another process run it?): %w", iface, err), link.Close())
	}
	dev := device.NewDevice(link, conn.NewDefaultBind(), deviceLogger(log, iface))
	defer dev.Close()
	control, err := ipc.UAPIListen(iface, file)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on the control socket of overlay device %s: %w", iface, err), file.Close())
	}
	lost := make(chan error, 1)
	go accept(control, dev, lost)
	log.Info("overlay device is up for configuration", "interface", iface, "mtu", mtu)
	select {
	case <-ctx.Done():
		err = nil
	case <-dev.Wait():
		err = fmt.Errorf("overlay device %s was removed", iface)
	case err = <-lost:
		err = fmt.Errorf("control socket of overlay device %s is lost: %w", iface, err)
	}
	return errors.Join(err, control.Close(), file.Close())
}

// accept serves the control socket until it is closed.
func accept(control net.Listener, dev *device.Device, lost chan<- error) {
	for {
		c, err := control.Accept()
		if err != nil {
			lost <- err
			return
		}
		go dev.IpcHandle(c)
	}
}

// deviceLogger hands the device's messages on. Its errors are mostly peers that cannot be reached, which the
// device tries again by itself, so they are warnings here.
func deviceLogger(log *slog.Logger, iface string) *device.Logger {
	l := &device.Logger{
		Verbosef: device.DiscardLogf,
		Errorf: func(format string, args ...any) {
			log.Warn(fmt.Sprintf(format, args...), "interface", iface)
		},
	}
	if log.Enabled(context.Background(), slog.LevelDebug) {
		l.Verbosef = func(format string, args ...any) {
			log.Debug(fmt.Sprintf(format, args...), "interface", iface)
		}
	}
	return l
}
