// Publishes the orders of one run: paid ones want an invoice, cancelled ones a refund. RUN names the run.
import { readContract } from './contract.js'
import { fail, log } from './log.js'
import { testOrders } from './orders.js'
import { connect, publish } from './rabbitmq.js'
import { assert, orderExchanges } from './topology.js'

const invoice = readContract('order-invoice-contract')
const [exchange] = invoice.exchanges
const orders = testOrders(process.env.RUN ?? `run-${Date.now()}`)
let channel
const connection = await connect(invoice, async (opened) => {
  await assert(opened, orderExchanges)
  channel = opened
})
for (const event of ['paid', 'cancelled']) {
  for (const order of orders) {
    const body = { ...order, id: `${order.id}-${event}` }
    const key = `order.eu.${event}`
    const options = { messageId: body.id, contentType: 'application/json' }
    await publish(channel, exchange, key, Buffer.from(JSON.stringify(body)), options).catch((error) => fail('publish', error))
    log('sent', { exchange, key, id: body.id, failures: order.failures })
  }
}
await connection.close()
