// Asserts everything that the contracts speak of, and ends: 0 if the brokers have it exactly like this.
import { readdirSync } from 'node:fs'
import { folder, readContract } from './contract.js'
import { admin } from './kafka.js'
import { fail, log } from './log.js'
import { connect } from './rabbitmq.js'
import { assert, declarations, orderExchanges } from './topology.js'

for (const name of readdirSync(folder).filter((entry) => !entry.startsWith('.'))) {
  const contract = readContract(name)
  await (contract.kind === 'Queue' ? assertQueue(contract) : assertTopics(contract)).catch((error) => fail(name, error))
}

async function assertQueue(contract) {
  const list = [...(contract.exchanges?.includes('orders') ? orderExchanges : []), ...declarations(contract)]
  const connection = await connect(contract, (channel) => assert(channel, list))
  await connection.close()
  log('asserted', { queue: contract.queue, objects: list.map((one) => one.exchange ?? one.queue) })
}

// assertTopics: clients of Kafka create no topics; they may look.
async function assertTopics(contract) {
  const topics = [contract.topic, ...new Set(contract.retry?.topics), contract.deadLetter?.topic].filter(Boolean)
  const client = admin(contract)
  await client.connect()
  const metadata = await client.fetchTopicMetadata({ topics })
  await client.disconnect()
  for (const { name, partitions } of metadata.topics) {
    if (contract.partitions && partitions.length !== contract.partitions) {
      throw new Error(`topic ${name} has ${partitions.length} partitions, and the contract says ${contract.partitions}`)
    }
  }
  log('asserted', { topic: contract.topic, objects: topics })
}
