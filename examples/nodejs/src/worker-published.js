// A worker under the strategy Published: it publishes what failed to a delay queue, or to the dead queue, and counts itself.
import { log } from './log.js'
import { work } from './orders.js'
import { publish } from './rabbitmq.js'
import { assert, delayQueue } from './topology.js'
import { startWorker } from './worker.js'

await startWorker('order-refund-contract', async (channel, contract, message) => {
  const { retry, deadLetter, queue } = contract
  const { headers, messageId } = message.properties
  const order = JSON.parse(message.content)
  const attempt = (headers['attempts-failed'] ?? 0) + 1
  const seen = { queue, id: order.id, attempt, received: Date.now(), key: headers['original-key'] ?? message.fields.routingKey }
  try {
    work(order, attempt)
    log('handled', seen)
  } catch (error) {
    const again = attempt < retry.attempts
    const target = again ? retry.queues[attempt - 1] : deadLetter.queue
    if (again && retry.delayQueues === 'ClientDeclared') await assert(channel, [delayQueue(contract, attempt - 1)])
    await publish(channel, '', target, message.content, {
      messageId,
      contentType: message.properties.contentType,
      headers: { ...headers, 'attempts-failed': attempt, 'original-key': seen.key, 'last-error': error.message },
    })
    log('published', { ...seen, to: target, error: error.message })
  }
  // Last: a crash before it doubles the message, and never loses it.
  channel.ack(message)
})
