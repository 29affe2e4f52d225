import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { createClosers } from '../../src/base/closers.js'
import { silentLogger } from '../../src/base/logger/logger.js'
import { CommandFailedError } from '../../src/executors/contract/errors.js'
import { createSlots, type GpuCount } from '../../src/executors/gpu/slots.js'
import type { PreflightPlan } from '../../src/executors/program/preflight/plan.js'
import { createServed } from '../../src/workers/engine/served.js'
import { createPreflights, type PreflightLimits, type Preflights } from '../../src/workers/preflights.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'

const LIMITS = { timeoutMs: 15_000, everyMs: 3_600_000, retryMs: 50 }

describe('the preflights of a host', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()
  let closers = createClosers(silentLogger())
  afterEach(async () => {
    await closers.closeAll('the test is over')
    closers = createClosers(silentLogger())
  })

  it('are pending until the first has ended, and nothing is served meanwhile', async () => {
    const { preflights } = await open({ script: '#!/bin/sh\nsleep 0.3\n' })
    const served = createServed(
      { trainers: [{ name: 'mine', gpus: 0 }], converters: [] },
      { suspendedFor: () => undefined, preflightOf: preflights.reportOf, log: silentLogger() },
    )
    served.follow({ state: 'none', reason: 'there is none' })
    const [before, reason] = [served.has('trainer', 'mine'), served.missing[0]?.reason]

    await untilState(preflights, 'passed')
    served.follow({ state: 'none', reason: 'there is none' })

    expect([before, reason]).to.deep.equal([false, 'Its first preflight has not ended.'])
    expect(served.has('trainer', 'mine')).to.equal(true)
  })

  it('fail with the last line of the command, and pass again when the host is repaired', async () => {
    const { preflights, program, changes } = await open({ script: '#!/bin/sh\necho no card; exit 3\n' })
    await untilState(preflights, 'failed')
    const { reason } = report(preflights)

    await writeFile(program, '#!/bin/sh\nexit 0\n')
    await untilState(preflights, 'passed')

    expect(reason).to.equal('The preflight exited with code 3; its last line was: no card.')
    expect(changes()).to.equal(2)
  })

  it('are repeated while they pass, so that a host that breaks later is noticed', async () => {
    const { preflights, program } = await open({ script: '#!/bin/sh\nexit 0\n', limits: { everyMs: 50 } })
    await untilState(preflights, 'passed')

    await rm(program)

    expect((await untilState(preflights, 'failed')).reason).to.match(/^The program ".*check" was not found/)
  })

  it('are made after a failure of a program', async () => {
    const { preflights, program } = await open({ script: '#!/bin/sh\nexit 0\n' })
    await untilState(preflights, 'passed')
    await writeFile(program, '#!/bin/sh\nexit 1\n')

    preflights.again('trainer', 'mine', failedWith('CUDA error'))

    expect((await untilState(preflights, 'failed')).reason).to.equal(
      'The preflight exited with code 1 and printed nothing.',
    )
  })

  it('that take too long fail', async () => {
    const { preflights } = await open({ script: '#!/bin/sh\nsleep 60\n', limits: { timeoutMs: 300 } })

    expect((await untilState(preflights, 'failed')).reason).to.equal('The preflight took longer than 0.3 s.')
  })

  it('that the machine could not begin have no result', async () => {
    await writeFile(join(folder.path, 'data'), 'no folder')

    const { preflights } = await open({ script: '#!/bin/sh\nexit 0\n' })
    const found = await until('a reason', () => (report(preflights).reason === null ? undefined : report(preflights)))

    expect(found.state).to.equal('pending')
    expect(found.reason).to.match(/^The preflight could not be carried out: /)
  })

  it('are lent the GPUs of a training, as soon as they are free', async () => {
    const slots = createSlots({ gpus: [4, 5] })
    const training = await slots.acquire(1, { signal: new AbortController().signal })
    const { preflights } = await open({ script: '#!/bin/sh\necho "$CUDA_VISIBLE_DEVICES" > seen\n', gpus: 2, slots })
    const before = report(preflights).state

    training.release()
    await untilState(preflights, 'passed')

    expect(before).to.equal('pending')
    expect(await readFile(join(folder.path, 'data/preflight/trainer-mine/seen'), 'utf8')).to.equal('4,5\n')
    expect(slots.free().gpus).to.deep.equal([4, 5])
  })

  it('leave the GPUs to trainings later, and keep what was found before', async () => {
    const slots = createSlots({ gpus: [0] })
    const { preflights, program } = await open({ script: '#!/bin/sh\nexit 0\n', gpus: 1, slots })
    await untilState(preflights, 'passed')
    const training = await slots.acquire(1, { signal: new AbortController().signal })
    await writeFile(program, '#!/bin/sh\nexit 1\n')

    preflights.again('trainer', 'mine')
    const second = slots.acquire(1, { signal: new AbortController().signal })
    training.release()
    const state = (await second.then(() => report(preflights))).state

    expect(state).to.equal('passed')
    ;(await second).release()
    await untilState(preflights, 'failed')
  })

  it('end their program when the worker stops', async () => {
    const { preflights } = await open({ script: '#!/bin/sh\necho $$ > pid\nsleep 60\n' })
    const file = join(folder.path, 'data/preflight/trainer-mine/pid')
    const pid = await until('it runs', async () => Number(await readFile(file, 'utf8').catch(() => '')) || undefined)

    await closers.closeAll('worker stops')

    expect(() => process.kill(pid, 0)).to.throw('ESRCH')
    expect(report(preflights).state).to.equal('pending')
  })

  it('are not made when they are turned off', async () => {
    const { preflights } = await open({ script: '#!/bin/sh\nexit 1\n', limits: { timeoutMs: 0 } })

    expect(preflights.reports).to.deep.equal([])
    expect(preflights.reportOf('trainer', 'mine')).to.equal(undefined)
  })

  type Opened = { readonly preflights: Preflights; readonly program: string; changes(): number }

  async function open(what: {
    readonly script: string
    readonly gpus?: GpuCount
    readonly slots?: ReturnType<typeof createSlots>
    readonly limits?: Partial<PreflightLimits>
  }): Promise<Opened> {
    const program = join(folder.path, 'check')
    await writeFile(program, what.script)
    await chmod(program, 0o755)
    const definition = { name: 'mine', folder: folder.path, python: 'python3', env: {}, errors: [] }
    const plan: PreflightPlan = {
      ...{ kind: 'trainer', name: 'mine', gpus: what.gpus ?? 0, definition, own: ['./check'], commands: [] },
    }
    let changes = 0
    const preflights = createPreflights(
      [plan],
      {
        ...{ ...LIMITS, ...what.limits, hostId: 'test', pid: 1 },
        ...{ dataFolder: join(folder.path, 'data'), programEnv: { PATH: process.env.PATH } },
      },
      {
        slots: what.slots ?? createSlots({ gpus: null }),
        onChange: () => {
          changes += 1
        },
        log: silentLogger(),
      },
    )
    preflights.start(closers)
    return { preflights, program, changes: () => changes }
  }

  function report(preflights: Preflights) {
    const found = preflights.reportOf('trainer', 'mine')
    if (found === undefined) throw new Error('There is no preflight.')
    return found
  }

  function untilState(preflights: Preflights, state: string) {
    return until(
      `the preflight has ${state}`,
      () => (report(preflights).state === state ? report(preflights) : undefined),
      10_000,
    )
  }
})

function failedWith(line: string): CommandFailedError {
  return new CommandFailedError({ command: 'train', exitCode: 1, signal: null, lastLogLines: [line] })
}
