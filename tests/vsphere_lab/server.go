package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// endpoint is where the lab listens and what its certificate looks like.
type endpoint struct {
	address     string
	thumbprint  string // SHA-1, as the vSphere API has it
	fingerprint string // SHA-256
	certificate string // PEM
}

// readiness is the line on standard output.
type readiness struct {
	URL         string `json:"url"`
	Control     string `json:"control"`
	Fingerprint string `json:"fingerprint"`
	User        string `json:"user"`
	Datacenter  string `json:"datacenter"`
}

func (l *Lab) serve() (readiness, error) {
	listener, err := net.Listen("tcp", l.options.listen)
	if err != nil {
		return readiness{}, err
	}
	control, err := net.Listen("tcp", l.options.control)
	if err != nil {
		return readiness{}, err
	}
	certificate, err := l.certify(listener.Addr().String())
	if err != nil {
		return readiness{}, err
	}
	// The simulator's own server only registers handlers: it cannot cut a stream or hold it back.
	l.model.Service.NewServer().Close()
	l.registry().OptionManager().UpdateOptions(&types.UpdateOptions{
		ChangedValue: []types.BaseOptionValue{&types.OptionValue{
			Key: "vcsim.server.url", Value: "https://" + l.server.address + "/sdk",
		}},
	})
	server := &http.Server{
		Handler: l.routes(), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"},
		},
	}
	go server.ServeTLS(listener, "", "")
	go http.Serve(control, l.controls())
	return readiness{
		URL: "https://" + l.server.address + "/sdk", Control: "http://" + control.Addr().String(),
		Fingerprint: l.server.fingerprint, User: l.options.user, Datacenter: l.datacenter().Name,
	}, nil
}

func (l *Lab) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/nfc/", l.serveLease)
	mux.HandleFunc("/folder/", l.serveFolder)
	mux.Handle("/", l.model.Service.ServeMux)
	return mux
}

// certify makes the lab's own certificate for the address it listens on.
func (l *Lab) certify(address string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return tls.Certificate{}, err
	}
	ends := time.Now().AddDate(1, 0, 0)
	if l.options.expired {
		ends = time.Now().AddDate(0, 0, -1)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "vsphere-lab", Organization: []string{"HyperSDK lab"}},
		NotBefore:    ends.AddDate(-2, 0, 0), NotAfter: ends,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.ParseIP(host)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:        true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	short, long := sha1.Sum(der), sha256.Sum256(der)
	l.server = endpoint{
		address: address, thumbprint: colons(short[:]), fingerprint: colons(long[:]),
		certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func colons(digest []byte) string {
	parts := make([]string, len(digest))
	for index, octet := range digest {
		parts[index] = fmt.Sprintf("%02X", octet)
	}
	return strings.Join(parts, ":")
}
