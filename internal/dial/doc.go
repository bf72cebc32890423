// Package dial makes a connection to a broker of what a connection resource says
// and of what the Secrets and ConfigMaps hold that it names. Where those come
// from, a Kubernetes cluster or manifests in files, is the caller's business.
//
// Nothing here prints a secret, and no error quotes one.
package dial
