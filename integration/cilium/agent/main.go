// A Cilium agent as far as cilium-cni can see it: the part of its REST API that the plugin of 1.15 calls, in the
// types of Cilium itself, on a unix socket. It knows one pair of addresses, keeps the endpoints in memory, and refuses
// an endpoint whose Pod is called "refused". What it is asked is printed, one request a line. It ends with its stdin, and
// so with whoever started it, however that ends.
//
//	agent SOCKET
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/cilium/cilium/api/v1/models"
	datapath "github.com/cilium/cilium/pkg/datapath/option"
	endpointid "github.com/cilium/cilium/pkg/endpoint/id"
	ipam "github.com/cilium/cilium/pkg/ipam/option"
)

// What every Pod gets: there is one at a time.
const (
	podIPv4 = "10.11.0.7"
	podIPv6 = "fd00:11::7"
	mtu     = 1450
)

var node = &models.NodeAddressing{
	IPV4: &models.NodeAddressingElement{Enabled: true, IP: "10.11.0.1", AllocRange: "10.11.0.0/24"},
	IPV6: &models.NodeAddressingElement{Enabled: true, IP: "fd00:11::1", AllocRange: "fd00:11::/64"},
}

type agent struct {
	sync.Mutex
	// The container's id of each attachment.
	endpoints map[string]string
}

func main() {
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	agent := &agent{endpoints: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/config", agent.config)
	mux.HandleFunc("POST /v1/ipam", agent.allocate)
	mux.HandleFunc("DELETE /v1/ipam/{ip}", agent.release)
	mux.HandleFunc("PUT /v1/endpoint/{id}", agent.create)
	mux.HandleFunc("GET /v1/endpoint/{id}/healthz", agent.health)
	mux.HandleFunc("DELETE /v1/endpoint", agent.remove)
	log.Fatal(http.Serve(listener, printed(mux)))
}

func printed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL, body)))
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, payload any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(payload); err != nil {
		log.Fatal(err)
	}
}

func (a *agent) config(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, &models.DaemonConfiguration{Status: &models.DaemonConfigurationStatus{
		Addressing:           node,
		DatapathMode:         datapath.DatapathModeVeth,
		DeviceMTU:            mtu,
		RouteMTU:             mtu,
		IpamMode:             ipam.IPAMClusterPool,
		IPLocalReservedPorts: "8472",
	}})
}

func (a *agent) allocate(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusCreated, &models.IPAMResponse{
		HostAddressing: node,
		Address:        &models.AddressPair{IPV4: podIPv4, IPV6: podIPv6},
		IPV4:           &models.IPAMAddressResponse{IP: podIPv4},
		IPV6:           &models.IPAMAddressResponse{IP: podIPv6},
	})
}

func (a *agent) release(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusOK)
}

func (a *agent) create(w http.ResponseWriter, r *http.Request) {
	var endpoint models.EndpointChangeRequest
	if err := json.NewDecoder(r.Body).Decode(&endpoint); err != nil {
		answer(w, http.StatusBadRequest, models.Error(err.Error()))
		return
	}
	if endpoint.K8sPodName == "refused" {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	a.Lock()
	defer a.Unlock()
	a.endpoints[endpointid.NewCNIAttachmentID(endpoint.ContainerID, endpoint.ContainerInterfaceName)] = endpoint.ContainerID
	w.WriteHeader(http.StatusCreated)
}

func (a *agent) health(w http.ResponseWriter, r *http.Request) {
	a.Lock()
	defer a.Unlock()
	if _, known := a.endpoints[r.PathValue("id")]; !known {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	answer(w, http.StatusOK, &models.EndpointHealth{Connected: true, OverallHealth: models.EndpointHealthStatusOK})
}

func (a *agent) remove(w http.ResponseWriter, r *http.Request) {
	var request models.EndpointBatchDeleteRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		answer(w, http.StatusBadRequest, models.Error(err.Error()))
		return
	}
	a.Lock()
	defer a.Unlock()
	status := http.StatusNotFound
	for id, container := range a.endpoints {
		if container == request.ContainerID {
			delete(a.endpoints, id)
			status = http.StatusOK
		}
	}
	w.WriteHeader(status)
}
