// Command versitygw is Versity's S3 gateway over a folder: what its own command has besides, other stores and tests of
// them above all, takes as long to compile again.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	port := flag.String("port", ":7070", "the address to listen at")
	certificate := flag.String("cert", "", "a file with the certificate to serve with")
	key := flag.String("key", "", "a file with its key")
	region := flag.String("region", "us-east-1", "the region to be in")
	accounts := flag.String("iam-dir", "", "the folder that keeps accounts, where there are others than root's")
	sidecar := flag.String("sidecar", "", "the folder that keeps what is known of objects")
	flag.Parse()
	if flag.NArg() != 1 || *sidecar == "" {
		log.Fatal("usage: versitygw --sidecar FOLDER [OPTION=VALUE ...] FOLDER")
	}
	// The limits are those of the gateway's own command.
	gateway := &embedgw.Config{
		RootUserAccess:    os.Getenv("ROOT_ACCESS_KEY_ID"),
		RootUserSecret:    os.Getenv("ROOT_SECRET_ACCESS_KEY"),
		Region:            *region,
		Ports:             []string{*port},
		CertFile:          *certificate,
		KeyFile:           *key,
		IAMDir:            *accounts,
		IAMCacheTTL:       120,
		IAMCachePrune:     3600,
		MaxConnections:    250_000,
		MaxRequests:       100_000,
		MultipartMaxParts: 10_000,
		Quiet:             true,
	}
	if err := serve(gateway, *sidecar, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

// serve answers until SIGINT or SIGTERM.
func serve(gateway *embedgw.Config, sidecar, data string) error {
	known, err := meta.NewSideCar(sidecar)
	if err != nil {
		return err
	}
	store, err := posix.New(data, known, posix.PosixOpts{
		SideCarDir:          sidecar,
		Concurrency:         5000,
		CopyObjectThreshold: 5 << 30,
	})
	if err != nil {
		return err
	}
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return embedgw.RunVersityGW(ended, store, gateway)
}
