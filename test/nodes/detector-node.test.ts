import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createLoopRest } from '../../src/loop/client/session/rest.js'
import { createLoopSession } from '../../src/loop/client/session/session.js'
import { createLoopSocket } from '../../src/loop/client/socket/socket.js'
import type { Dialect, OperationMode } from '../../src/loop/protocol/index.js'
import {
  createDetectorNode,
  type DetectorNode,
  type DetectorNodeOptions,
} from '../../src/nodes/detector/detector-node.js'
import { until } from '../helpers/until.js'
import { startLoop, type TestLoop } from '../mock/loop/start-loop.js'

const DEMO = ['zauberzeug', 'demo'] as const
const IDENTITY = { uuid: '11111111-2222-3333-4444-555555555555', name: 'robot 7' }

describe('The detector node', () => {
  const closers: (() => Promise<unknown>)[] = []
  let loop: TestLoop
  beforeEach(async () => {
    loop = await startLoop()
    closers.push(() => loop.remove())
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  for (const dialect of ['0.8', 'current'] as const) {
    describe(`in dialect ${dialect}`, () => {
      it('tells its status and hears which model to run', async () => {
        const { detector } = await start({ dialect })

        await until('the target is heard', () => detector.targets.length > 0)

        expect(detector.targets[0]).to.deep.equal({ id: '00000000-0000-0000-0000-000000000011', version: '1.1' })
        const seen = loop.node(IDENTITY.uuid)
        expect(seen).to.include({ name: 'robot 7', state: 'online', dialect, type: 'detector' })
        expect(seen?.status).to.deep.include({
          model_format: 'onnx',
          operation_mode: 'idle',
          current_model: '1.0',
          target_model: null,
          errors: { update_model: 'no room' },
        })
      })

      it('hears of another target in one of the next cycles', async () => {
        const { detector } = await start({ dialect })
        await until('the target is heard', () => detector.targets.length > 0)

        await loop.setTarget(...DEMO, '00000000-0000-0000-0000-000000000012')

        await until('the new one is heard', () => detector.targets.at(-1)?.version === '1.2')
      })

      it('tells a change immediately', async () => {
        const { detector } = await start({ dialect, cycleMs: 60_000 })
        await until('the Loop knows it', () => loop.node(IDENTITY.uuid))

        detector.setMode('detecting')

        await until('the mode is told', () => loop.node(IDENTITY.uuid)?.status.operation_mode === 'detecting')
      })

      it('goes on when the Loop was away', async () => {
        const { detector } = await start({ dialect })
        await until('the target is heard', () => detector.targets.length > 0)
        const port = Number(new URL(loop.url).port)
        await loop.close()
        detector.setMode('detecting')
        detector.setMode('idle')

        loop = await loop.restart({ port })
        await loop.setTarget(...DEMO, '00000000-0000-0000-0000-000000000012')

        await until('the new one is heard', () => detector.targets.at(-1)?.version === '1.2', 20_000)
      })

      it('keeps its model when the project has no target', async () => {
        await loop.setTarget(...DEMO, null)
        const { detector } = await start({ dialect })

        await until('the Loop knows it', () => loop.node(IDENTITY.uuid))
        await until('some cycles have passed', () => detector.asked > 3)

        expect(detector.targets).to.be.empty
      })

      it('stays away while it is set offline, and comes back', async () => {
        const { detector, node } = await start({ dialect })
        await until('the target is heard', () => detector.targets.length > 0)

        await node.setOnline(false)
        await loop.setTarget(...DEMO, '00000000-0000-0000-0000-000000000012')
        await node.setOnline(true)

        await until('the new one is heard', () => detector.targets.at(-1)?.version === '1.2')
      })

      it('tells changes alone when it starts muted, until it is set online', async () => {
        const { detector, node } = await start({ dialect, muted: true })

        detector.setMode('detecting')
        await until('the change is told', () => loop.node(IDENTITY.uuid)?.status.operation_mode === 'detecting')
        if (dialect === 'current') expect(detector.targets).to.be.empty
        detector.setMode('idle')
        await loop.setTarget(...DEMO, '00000000-0000-0000-0000-000000000012')
        await node.setOnline(true)

        await until('the target is heard', () => detector.targets.at(-1)?.version === '1.2')
      })
    })
  }

  it('asks for no target while it is detecting, in the current dialect', async () => {
    const { detector } = await start({ dialect: 'current', mode: 'detecting' })

    await until('some cycles have passed', () => detector.asked > 3)

    expect(detector.targets).to.be.empty
  })

  it('tells its status in every n-th cycle, in the current dialect', async () => {
    const { detector } = await start({ dialect: 'current', syncCycles: 1000 })
    await until('the Loop knows it', () => loop.node(IDENTITY.uuid))
    const first = loop.node(IDENTITY.uuid)?.lastSeen

    await until('some cycles have passed', () => detector.targets.length > 5)

    expect(loop.node(IDENTITY.uuid)?.lastSeen).to.equal(first)
  })

  it('asks again for what failed: a status that was refused, a target that is no target', async () => {
    loop.addFault({ match: { method: 'POST', path: '/zauberzeug/projects/demo/detectors' }, kind: 'status', times: 2 })
    loop.addFault({ match: { path: '/zauberzeug/projects/demo/deployment' }, kind: 'truncate', times: 4 })
    const { detector } = await start({ dialect: 'current', syncCycles: 1000 })

    await until('the target is heard', () => detector.targets.length > 0, 20_000)
    await until('the Loop knows it', () => loop.node(IDENTITY.uuid))
  })

  it('restarts when the Loop asks for it, in dialect 0.8', async () => {
    const { node } = await start({ dialect: '0.8' })
    await until('the Loop knows it', () => loop.node(IDENTITY.uuid))

    await loop.call('POST', `/api/local/nodes/${IDENTITY.uuid}/restart`)

    expect(await node.over).to.be.a('string')
  })

  it('needs no login, neither at a Loop that asks others for one', async () => {
    const guarded = await startLoop({ username: 'loop', password: 'sesame' })
    closers.push(() => guarded.remove())

    const { detector } = await start({ dialect: '0.8' }, guarded)

    await until('the target is heard', () => detector.targets.length > 0)
  })

  type Started = { readonly node: DetectorNode; readonly detector: ReturnType<typeof standIn> }

  async function start(
    options: Partial<DetectorNodeOptions> & { readonly dialect: Dialect; readonly mode?: OperationMode },
    at: TestLoop = loop,
  ): Promise<Started> {
    const { mode = 'idle', ...rest } = options
    const log = silentLogger()
    const [organization, project] = DEMO
    const session = createLoopSession({ host: at.host }, { log })
    const detector = standIn(mode)
    const socketOptions = { nodeType: 'detector' as const, organization, project, reconnectMaxMs: 200 }
    const node = createDetectorNode(
      { identity: IDENTITY, organization, project, modelFormat: 'onnx', cycleMs: 30, syncCycles: 2, ...rest },
      {
        detector,
        rest: createLoopRest(session),
        createSocket: () => createLoopSocket(socketOptions, { session, log }),
        log,
      },
    )
    closers.push(async () => {
      await node.stop()
      session.close()
    })
    await node.start({ signal: new AbortController().signal })
    return { node, detector }
  }
})

/** A detector of which the node sees only its condition. */
function standIn(initial: OperationMode) {
  let operationMode = initial
  let callback: () => void = () => undefined
  const targets: { id: string; version: string }[] = []
  const detector = {
    targets,
    asked: 0,
    condition() {
      detector.asked += 1
      return {
        state: 'online' as const,
        operationMode,
        currentVersion: '1.0',
        targetVersion: null,
        errors: { update_model: 'no room' },
        uptimeSeconds: 3,
      }
    },
    setTarget: (target: { id: string; version: string } | null) => {
      if (target !== null) targets.push(target)
    },
    onChange(listener: () => void) {
      callback = listener
      return () => undefined
    },
    setMode(mode: OperationMode) {
      operationMode = mode
      callback()
    },
  }
  return detector
}
