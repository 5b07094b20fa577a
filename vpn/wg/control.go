//go:build linux

package wg

import (
	"context"
	"errors"
	"fmt"

	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// control speaks to a device. The process of a userspace device may be stopped while its socket is open, so
// every call has an end; one that is late goes on by itself until the process answers or dies, and until then
// no other is made.
type control struct {
	iface  string
	client *wgctrl.Client
	turn   chan struct{} // holds one token
}

func newControl(iface string) (*control, error) {
	if err := checkInterface(iface); err != nil {
		return nil, err
	}
	client, err := wgctrl.New()
	if err != nil {
		return nil, fmt.Errorf("overlay device %s: %w", iface, err)
	}
	c := &control{iface: iface, client: client, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c, nil
}

// read gives the device with its peers.
func (c *control) read(ctx context.Context) (*wgtypes.Device, error) {
	answer := make(chan *wgtypes.Device, 1)
	err := c.do(ctx, func() error {
		dev, err := c.client.Device(c.iface)
		answer <- dev
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read overlay device %s: %w", c.iface, err)
	}
	return <-answer, nil
}

// configure changes the device.
func (c *control) configure(ctx context.Context, config wgtypes.Config) error {
	err := c.do(ctx, func() error { return c.client.ConfigureDevice(c.iface, config) })
	if err != nil {
		return fmt.Errorf("configure overlay device %s: %w", c.iface, err)
	}
	return nil
}

var errNoAnswer = errors.New("the device's process does not answer")

func (c *control) do(ctx context.Context, call func() error) error {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return errors.Join(errNoAnswer, ctx.Err())
	}
	done := make(chan error, 1)
	go func() {
		done <- call()
		c.turn <- struct{}{}
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.Join(errNoAnswer, ctx.Err())
	}
}
