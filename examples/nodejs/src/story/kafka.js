import { readContract } from '../contract.js'
import { Process } from './process.js'
import { checkTimeline } from './timeline.js'

// The same with Kafka, where the consumer does the waiting.
export async function kafka(tale, run) {
  const { topic, retry, deadLetter } = readContract('order-events-contract')
  const start = (program, env) => new Process(program, { env, onLine: tale.teller(program) })

  tale.chapter(`Kafka: ${topic} (retry topics, after ${retry.delaysMs} ms)`)
  const worker = start('kafka-retry')
  await worker.until('it is ready', (lines) => lines.some((line) => line.event === 'ready'))
  const producer = start('kafka-producer', { RUN: run })
  tale.check((await producer.finish()) === 0, 'every order was written')

  const of = (id) => worker.lines.filter((line) => line.id === id)
  await worker.until('two orders are handled and one is dead', () =>
    of(`${run}-1`).some((line) => line.event === 'handled') && of(`${run}-2`).some((line) => line.event === 'handled') && of(`${run}-3`).some((line) => line.event === 'dead'))
  checkTimeline(tale, `${run}-1`, of(`${run}-1`), 1, retry.delaysMs)
  checkTimeline(tale, `${run}-2`, of(`${run}-2`), 3, retry.delaysMs)
  checkTimeline(tale, `${run}-3`, of(`${run}-3`), retry.attempts, retry.delaysMs)
  tale.check((await worker.stop()) === 0, 'asked to end, the consumer ended in good order')

  const letters = new Process('kafka-replay', { args: ['--dead-letters', '--from-beginning', '--group', `${run}-dead`], onLine: tale.teller('kafka-replay') })
  await letters.finish()
  const dead = letters.lines.filter((line) => line.event === 'replayed' && line.key?.startsWith(run))
  tale.check(dead.length === 1 && dead[0].key === `${run}-3`, `${run}-3 is in ${deadLetter.topic}, once`)
}
