package main

import (
	"crypto/subtle"
	"net/http"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// sessions that are logged in.
func (l *Lab) sessions() []types.UserSession {
	// The simulator lists them only in the view that a session has of the manager.
	viewer := &simulator.Session{Registry: simulator.NewRegistry(), Map: l.registry()}
	seen := viewer.Get(l.registry().SessionManager().Self).(*simulator.SessionManager)
	return seen.SessionList
}

// endSessions logs everybody out.
func (l *Lab) endSessions() {
	var keys []string
	for _, session := range l.sessions() {
		keys = append(keys, session.Key)
	}
	l.registry().SessionManager().TerminateSession(l.context(), &types.TerminateSession{SessionId: keys})
}

// authorized tells whether a request carries the cookie of a session or the right password.
func (l *Lab) authorized(r *http.Request) bool {
	if name, password, given := r.BasicAuth(); given {
		return name == l.options.user &&
			subtle.ConstantTimeCompare([]byte(password), []byte(l.options.password)) == 1
	}
	cookie, err := r.Cookie(soap.SessionCookieName)
	if err != nil {
		return false
	}
	for _, session := range l.sessions() {
		if session.Key == cookie.Value {
			return true
		}
	}
	return false
}
