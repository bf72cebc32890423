// Package e2e proves Warrener on real parts: a kube-apiserver, RabbitMQ 3.10,
// 4.0 and 4.3, Apache Kafka, and the controller as a process of its own that
// may do what config/rbac grants and nothing more.
//
// Each test has a namespace, virtual hosts and topic names of its own, and a
// controller that watches that namespace alone: tests do not see each other.
//
//	stage_test.go   one test's namespace, controller and clients
//	scene_test.go   a stage with a RabbitMQ that works, behind a recorder
//	kafka_test.go   a stage with a Kafka that works
//	expect_test.go  waiting for statuses, reading events
//	metrics_test.go reading the controller's metrics
//	retry_messages_test.go, retry_ledger_test.go, retry_crew_test.go
//	                what is sent, what is to become of it, and consumers that crash
//
// The other files hold the tests, named after what they are about.
package e2e
