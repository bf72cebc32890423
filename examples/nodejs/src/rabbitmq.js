import amqp from 'amqplib'
import { fail, log } from './log.js'

// connect opens a connection to the first endpoint of a contract that comes back by itself. setup runs each time with a
// new channel in confirm mode: it asserts and consumes.
export function connect(contract, setup) {
  if (!contract.endpoints?.length) fail('connect', new Error(`the contract of ${contract.queue} has no endpoints: write clientEndpoints in the RabbitMQConnection`))
  const url = new URL(contract.endpoints[0])
  url.username = encodeURIComponent(process.env.RABBITMQ_USERNAME ?? 'guest')
  url.password = encodeURIComponent(process.env.RABBITMQ_PASSWORD ?? 'guest')
  url.pathname = `/${encodeURIComponent(contract.virtualHost)}`
  return amqp.connect(url.href, {
    timeout: 10_000,
    recovery: {
      initialDelay: 500,
      maxDelay: 10_000,
      initialMaxRetries: 5,
      async setup(connection) {
        const channel = await connection.createConfirmChannel()
        // The broker closes a channel because of what was done on it: a 406, say. Doing the same again cures nothing.
        channel.on('error', (error) => fail('channel', error))
        await setup(channel)
      },
    },
  }).then((connection) => {
    connection.on('disconnect', (error) => log('disconnected', { error: error?.message }))
    connection.on('error', () => {}) // disconnect follows
    return connection
  }, (error) => fail('connect', error))
}

// publish resolves when the broker has taken the message and a queue has it; else it rejects.
export function publish(channel, exchange, routingKey, message, options) {
  return new Promise((resolve, reject) => {
    let returned
    const onReturn = (back) => {
      if (back.properties.messageId === options.messageId) returned = back.fields.replyText // precedes the confirm
    }
    channel.on('return', onReturn)
    channel.publish(exchange, routingKey, message, { ...options, persistent: true, mandatory: true }, (error) => {
      channel.off('return', onReturn)
      if (error) reject(error)
      else if (returned) reject(new Error(`publish to "${exchange}" with ${routingKey}: ${returned}`))
      else resolve()
    })
  })
}

// consume hands each message to handle, which settles it. The returned function stops taking messages, and resolves when
// the ones in hand are settled.
export async function consume(channel, queue, prefetch, handle) {
  const inHand = new Set()
  await channel.prefetch(prefetch)
  const { consumerTag } = await channel.consume(queue, (message) => {
    if (message === null) fail('consume', new Error(`queue ${queue} was deleted`))
    // What fails here is the connection or a bug: unsettled messages come back on the next connection.
    const work = handle(message).catch((error) => log('unsettled', { queue, error: error.message }))
    inHand.add(work)
    work.finally(() => inHand.delete(work))
  })
  return async () => {
    await channel.cancel(consumerTag)
    await Promise.all(inHand)
    await channel.waitForConfirms()
  }
}
