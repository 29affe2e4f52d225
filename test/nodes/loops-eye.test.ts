import process from 'node:process'
import { expect } from 'chai'
import { statesWithProgress, trainingTexts08 } from '../helpers/trainer-texts.js'
import { hostA } from '../queue/orders.js'
import { UUID_A, useSeats } from './seats-fixture.js'

const states = Object.keys(trainingTexts08) as (keyof typeof trainingTexts08)[]
const ROUNDS = 4
/** The goal is 100 ms; a shared machine may be slow now and then. */
const BOUND_MS = 300
/** The protocol's heart-beat, and some room. */
const HEARTBEAT_MS = 5000
const LATE_MS = 500

for (const dialect of ['current', '0.8'] as const) {
  describe(`the Loop's eye on a trainer of dialect ${dialect}`, function () {
    this.timeout(60_000)
    const seats = useSeats()
    const status = () => seats.shown()?.status ?? {}
    const seen = (what: () => boolean) => seats.loop.until(what, { signal: AbortSignal.timeout(10_000) })
    const expectedText = (state: (typeof states)[number]) => (dialect === '0.8' ? trainingTexts08[state] : state)

    async function aTraining(options: { heartbeatMs?: number } = {}) {
      await seats.startNode({ dialect, ...options })
      await seats.order()
      const { id } = await seats.unfinished()
      return { id, run: await seats.trainings.beginRun(id, hostA) }
    }

    it('sees state, progress, errors and uptime of every change within 100 ms (p95)', async () => {
      const { id, run } = await aTraining()
      const delays: number[] = []

      for (let change = 0; change < ROUNDS * states.length; change += 1) {
        const state = states[change % states.length] ?? 'running'
        const progress = (change + 1) / (ROUNDS * states.length)
        const errors = { run_training: `change ${change}` }
        const before = performance.now()
        await seats.trainings.update(id, run, { state, progress, errors })
        await seen(() => (status().errors as Record<string, string>)?.run_training === errors.run_training)
        delays.push(performance.now() - before)
        const shown = status()
        expect(shown.state).to.equal(expectedText(state))
        expect(shown.progress).to.equal(dialect === '0.8' || statesWithProgress.includes(state) ? progress : null)
        expect(shown.uptime).to.be.a('number').and.be.at.least(0)
      }

      const sorted = delays.toSorted((a, b) => a - b)
      const p95 = sorted[Math.ceil(0.95 * sorted.length) - 1] ?? Number.NaN
      const median = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
      process.stdout.write(
        `      status at the Loop, ${dialect}: median ${median.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms of ${sorted.length}\n`,
      )
      expect(sorted.length).to.be.at.least(50)
      expect(p95).to.be.at.most(BOUND_MS)
    })

    it('hears of every state again and again, also when nothing changes', async () => {
      const { id, run } = await aTraining({ heartbeatMs: 20 })

      for (const state of states) {
        await seats.trainings.update(id, run, { state })
        await seen(() => status().state === expectedText(state))
        const first = Number(status().uptime)
        await seen(() => Number(status().uptime) > first)
        expect(status().state).to.equal(expectedText(state))
      }
    })

    it('hears of it every 5 s when nobody says otherwise', async () => {
      const { id, run } = await aTraining({ heartbeatMs: undefined })
      await seats.trainings.update(id, run, { state: 'running', progress: 0.5 })
      await seen(() => status().progress === 0.5)
      const heardAt = () => seats.shown(UUID_A)?.lastSeen ?? 0

      const gaps: number[] = []
      for (let beat = 0; beat < 2; beat += 1) {
        const before = heardAt()
        await seen(() => heardAt() > before)
        gaps.push(heardAt() - before)
      }

      expect(Math.max(...gaps)).to.be.at.most(HEARTBEAT_MS + LATE_MS)
      expect(gaps[1]).to.be.at.least(HEARTBEAT_MS - LATE_MS)
    })
  })
}
