// Writes the orders of one run to the topic, under the order's id: what happens to one order stays in order. RUN names the run.
import { readContract } from './contract.js'
import { log } from './log.js'
import { producer } from './kafka.js'
import { testOrders } from './orders.js'

const contract = readContract('order-events-contract')
const client = producer(contract)
await client.connect()
for (const order of testOrders(process.env.RUN ?? `run-${Date.now()}`)) {
  const [{ partition, baseOffset }] = await client.send({
    topic: contract.topic,
    acks: -1,
    messages: [{ key: order.id, value: JSON.stringify(order), headers: { event: 'order.placed' } }],
  })
  log('sent', { topic: contract.topic, id: order.id, partition, offset: baseOffset, failures: order.failures })
}
await client.disconnect()
