package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"conpaas/client/api"
)

// totp FILE STEPS: prints the code that an authenticator shows (RFC 6238), STEPS time steps from now, for the secret that
// cps user totp enable -o json has shown.
func totp() {
	var made api.TOTPSecret
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &made)
	}
	var secret []byte
	if err == nil {
		secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(made.Secret.Reveal())
	}
	steps, bad := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil || bad != nil {
		fmt.Fprintln(os.Stderr, err, bad)
		os.Exit(1)
	}
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, time.Now().Unix()/30+steps)
	sum := mac.Sum(nil)
	fmt.Printf("%06d\n", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1000000)
}
