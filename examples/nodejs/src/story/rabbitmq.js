import { readContract } from '../contract.js'
import { Process } from './process.js'
import { checkTimeline } from './timeline.js'

const ready = (lines) => lines.some((line) => line.event === 'ready')

// Orders are published; some fail and are tried again, under Tiers and under Published; two of them die.
export async function rabbitmq(tale, run) {
  const start = (program, env) => new Process(program, { env, onLine: tale.teller(program) })
  const invoice = readContract('order-invoice-contract')
  const refund = readContract('order-refund-contract')

  tale.chapter('A client that declares what it uses declares what Warrener declared')
  const asserting = start('assert')
  tale.check((await asserting.finish()) === 0, 'nobody was answered by 406')

  tale.chapter(`RabbitMQ: ${invoice.queue} (Tiers, after ${invoice.retry.delaysMs} ms) and ${refund.queue} (Published, after ${refund.retry.delaysMs} ms)`)
  const services = ['worker-tiers', 'worker-published', 'dead-letters'].map((program) => start(program))
  const [tiers, published, dead] = services
  await Promise.all(services.map((one) => one.until('it is ready', ready)))
  const publisher = start('publisher', { RUN: run })
  tale.check((await publisher.finish()) === 0, 'every order was confirmed')

  const mine = (event) => (lines) => lines.filter((line) => line.event === event && line.id.startsWith(run)).length
  await Promise.all([
    tiers.until('two orders are handled', (lines) => mine('handled')(lines) === 2),
    published.until('two orders are handled', (lines) => mine('handled')(lines) === 2),
    dead.until('two dead letters', (lines) => mine('dead')(lines) === 2),
  ])
  for (const [worker, contract, event] of [[tiers, invoice, 'paid'], [published, refund, 'cancelled']]) {
    const { attempts, delaysMs } = contract.retry
    for (const [id, wanted] of [[`${run}-1-${event}`, 1], [`${run}-2-${event}`, 3], [`${run}-3-${event}`, attempts]]) {
      checkTimeline(tale, id, worker.lines.filter((line) => line.id === id), wanted, delaysMs)
    }
    const keys = new Set(worker.lines.filter((line) => line.id?.startsWith(run)).map((line) => line.key))
    tale.check(keys.size === 1 && keys.has(`order.eu.${event}`), `${contract.queue}: every attempt knew the original routing key`)
    const letters = dead.lines.filter((line) => line.event === 'dead' && line.id === `${run}-3-${event}`)
    tale.check(letters.length === 1 && letters[0].why.endsWith(`; ${attempts} attempts`), `${run}-3-${event} is dead, once, after ${attempts} attempts`)
  }
  const codes = await Promise.all(services.map((one) => one.stop()))
  tale.check(codes.every((code) => code === 0), 'asked to end, the services ended in good order')
}
