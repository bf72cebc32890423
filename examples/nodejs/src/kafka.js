import kafkajs from 'kafkajs'

const { Kafka, Partitioners, logLevel } = kafkajs
const { KAFKA_USERNAME: username, KAFKA_PASSWORD: password, KAFKA_TLS } = process.env

const kafka = (contract) =>
  new Kafka({
    clientId: 'order-service',
    brokers: contract.endpoints,
    ssl: KAFKA_TLS === 'true',
    sasl: username ? { mechanism: 'scram-sha-512', username, password } : undefined,
    logLevel: logLevel.WARN,
    logCreator: () => ({ label, log: { message, error } }) => console.error(`${label} kafkajs: ${message}${error ? `: ${error}` : ''}`),
  })

export const admin = (contract) => kafka(contract).admin()

// producer waits for all replicas, and a retry of its own does not double a record.
export const producer = (contract) =>
  kafka(contract).producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner,
  })

export const consumer = (contract, groupId) => kafka(contract).consumer({ groupId, allowAutoTopicCreation: false })

// replayOptions are the same for @platformatic/kafka, which the replayable consumer uses.
export const replayOptions = (contract) => ({
  clientId: 'order-replay',
  bootstrapBrokers: contract.endpoints,
  tls: KAFKA_TLS === 'true' ? {} : undefined,
  sasl: username ? { mechanism: 'SCRAM-SHA-512', username, password } : undefined,
})
