import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeTree } from '../../src/base/files.js'
import { silentLogger } from '../../src/base/logger/logger.js'
import { type Effect, startLocalLoop } from '../../src/mock/loop/index.js'
import { startRedisServer } from '../../src/queue/embedded-redis/redis-server.js'
import type { JobState } from '../../src/queue/jobs/job-view.js'
import { queueNames } from '../../src/queue/jobs/names.js'
import { createQueues } from '../../src/queue/jobs/queues.js'
import { openRedis } from '../../src/queue/redis/open-redis.js'
import type { TrainingRecord } from '../../src/queue/trainings/training-record.js'
import { createTrainings } from '../../src/queue/trainings/trainings.js'
import { type CliProcess, runCli, startCli } from './cli-process.js'
import { describeProcesses, FLEET_VARIABLE, killAll, processesWith, processTreeOf } from './fleet-processes.js'
import type { Fleet, FleetCondition, FleetOptions, FleetWorker, QuickStart } from './fleet-types.js'
import { until } from './until.js'

export type { Fleet, FleetCondition, FleetOptions, FleetWorker, Hold, QuickStart } from './fleet-types.js'

const ORGANIZATION = 'zauberzeug'
const QUICK = fileURLToPath(new URL('../fixtures/trainers/quick/trainer.yaml', import.meta.url))
const JOB_STATES: readonly JobState[] = ['waiting', 'active', 'delayed', 'completed', 'failed']
const INHERITED = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'NODE_V8_COVERAGE'] as const

export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const id = `e2e-${randomBytes(3).toString('hex')}`
  const folder = await mkdtemp(join(tmpdir(), `loopfleet-${id}-`))
  const closers: (() => Promise<unknown>)[] = []
  try {
    return await openFleet(id, folder, closers, options)
  } catch (error) {
    await closeAll(closers)
    await removeTree(folder)
    throw error
  }
}

async function openFleet(
  id: string,
  folder: string,
  closers: (() => Promise<unknown>)[],
  options: FleetOptions,
): Promise<Fleet> {
  const log = silentLogger()
  const logs = join(folder, 'logs')
  await mkdir(logs)
  const redis = await startRedisServer({ folder: join(folder, 'redis') }, { log })
  closers.push(() => redis.close())
  const loop = await startLocalLoop({ folder: join(folder, 'loop'), ...options.login }, { log })
  closers.push(() => loop.close())
  const between = await options.through?.(loop.host)
  if (between !== undefined) closers.push(() => between.close())
  const redisUrl = options.redisUrl ?? redis.url
  const link = await openRedis(redisUrl, { log })
  closers.push(() => link.close())
  const queues = createQueues(link, { log })
  closers.push(() => queues.close())
  const journal = createTrainings(link, {}, { log })
  const config = { project_name: 'shapes', complete: 8, inbox: 2, box_categories: 2, ...options.project }
  await loop.generate(config)
  const project = config.project_name

  const parts: CliProcess[] = []
  const workers: FleetWorker[] = []
  closers.push(async () => {
    await Promise.all(parts.filter((part) => !part.hasExited).map((part) => part.end()))
  })
  const trainerFile = options.trainerFile ?? QUICK
  const moreTrainers = options.moreTrainers ?? []
  let latest: number | undefined
  let count = 0

  function environment(more: Record<string, string> = {}): Record<string, string> {
    const inherited = INHERITED.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value] as const]
    })
    return {
      ...Object.fromEntries(inherited),
      [FLEET_VARIABLE]: id,
      REDIS_URL: redisUrl,
      LOOP_HOST: between?.host ?? loop.host,
      LOOP_PROTOCOL: options.dialect ?? 'current',
      LOOPFLEET_LOCK_MS: String(options.lockMs ?? 30_000),
      LOOPFLEET_THREADS: String(options.threads ?? 1),
      LOOPFLEET_LOG_LEVEL: 'debug',
      ...(options.login && { LOOP_USERNAME: options.login.username, LOOP_PASSWORD: options.login.password }),
      ...options.env,
      ...more,
    }
  }

  function logFile(name: string): string {
    count += 1
    return join(logs, `${String(count).padStart(2, '0')}-${name}.log`)
  }

  function workerStart(data: string, lent = options.gpus, pathInFront = options.pathInFront) {
    const PATH = [pathInFront, options.path ?? process.env.PATH].filter(Boolean).join(delimiter)
    const gpus = lent === 'all' ? [] : ['--gpus', lent ?? 'none']
    const place = { folder: join(folder, `host-${data}`), hostId: `${id}-${data}` }
    const places = options.places === undefined ? [] : ['--places', String(options.places)]
    const trainers = [trainerFile, ...moreTrainers].flatMap((file) => ['--trainer', file])
    const args: [string, ...string[]] = ['worker', ...trainers, '--data', place.folder, ...gpus, ...places]
    const env = environment({ PATH, LOOPFLEET_HOST_NAME: place.hostId })
    return { ...place, cli: { args, env, logFile: logFile(`worker-${data}`) } }
  }

  async function startWorker(how: Parameters<Fleet['startWorker']>[0] = {}): Promise<FleetWorker> {
    const { data = 'a' } = how
    const { cli, ...place } = workerStart(data, how.gpus, how.pathInFront)
    const started = await startCli(cli)
    const worker: FleetWorker = Object.assign(started, { data, ...place })
    parts.push(worker)
    workers.push(worker)
    void worker.exited.then(() => workers.splice(workers.indexOf(worker), 1))
    return worker
  }

  const flags = ['--seats', String(options.seats ?? 1), ...(options.trainerFlags ?? [])]
  const trainerArgs = [trainerFile, '--data', join(folder, 'node'), ...flags]

  async function startTrainer(own: readonly string[] = trainerArgs): Promise<CliProcess> {
    const cli = { args: ['trainer', ...own] as const, env: environment(), logFile: logFile('trainer') }
    const started = await startCli(cli)
    parts.push(started)
    await until('the trainer is idle at the Loop', () => {
      const node = loop.node(String(started.facts.uuid))
      return node?.connected === true
    })
    return started
  }

  let [trainer] = await Promise.all([
    startTrainer(),
    ...moreTrainers.map((file, index) => startTrainer([file, '--data', join(folder, `node-${index + 2}`), ...flags])),
    ...(options.workers ?? ['a']).map((data) => startWorker({ data })),
  ])

  function number(): number {
    if (latest === undefined) throw new Error('No training was ordered yet.')
    return latest
  }

  function seen() {
    const training = loop.training(ORGANIZATION, project, number())
    if (training === undefined) throw new Error(`The Loop does not know training ${number()}.`)
    return training
  }

  async function record(): Promise<TrainingRecord> {
    const found = await journal.find(`${ORGANIZATION}/${project}#${number()}`)
    if (found === undefined) throw new Error(`The journal does not know training ${number()}.`)
    return found
  }

  function newest(): FleetWorker {
    const worker = workers.at(-1)
    if (worker === undefined) throw new Error('No worker lives.')
    return worker
  }

  async function isMet({ state, epoch, upload, detections, ended }: FleetCondition): Promise<boolean> {
    const training = seen()
    if (state !== undefined && !training.history.some((entry) => entry.state === state)) return false
    if (upload !== undefined && fleet.uploads()[upload] === undefined) return false
    if (detections !== undefined && Object.keys(fleet.detectionCounts()).length < detections) return false
    if (ended === true && (training.ended === null || loop.node(training.trainer_id)?.state !== 'idle')) return false
    return epoch === undefined || ((await record()).best?.epoch ?? 0) >= epoch
  }

  async function situation(): Promise<string> {
    const { state, outcome, errors, steps, run, hostId } = await record()
    const logsNow = await Promise.all(parts.map(async (part) => `--- ${part.name}\n${lastLines(await part.log(), 12)}`))
    const facts = { loop: states(), journal: { state, outcome, errors, steps: Object.keys(steps), run, hostId } }
    return `${JSON.stringify(facts)}\n${logsNow.join('\n')}`
  }

  function states(): string[] {
    return [...new Set(seen().history.map((entry) => entry.state))]
  }

  async function workspace(worker?: FleetWorker): Promise<string> {
    const { id: trainingId } = await record()
    const place = worker?.folder ?? workers.at(-1)?.folder ?? join(folder, 'host-a')
    return join(place, ORGANIZATION, project, 'trainings', trainingId)
  }

  const fleet: Fleet = {
    id,
    folder,
    organization: ORGANIZATION,
    project,
    loop,
    redis,
    link,
    journal,
    queues,
    get trainer() {
      return trainer
    },
    trainerArgs,
    workers,
    generate: (config) => loop.generate(config),
    async order(request = {}) {
      const answer = await loop.orderTraining(ORGANIZATION, project, request)
      const ack: { success?: boolean; error_msg?: string } = Object(answer.ack)
      if (ack.success !== true) throw new Error(`The trainer refused the order: ${ack.error_msg}`)
      latest = answer.training_number
      return answer.training_number
    },
    async until(condition, withinMs = 60_000) {
      try {
        await until(`training ${JSON.stringify(condition)}`, () => isMet(condition), withinMs)
      } catch (error) {
        throw new Error(`${error instanceof Error ? error.message : error}\n${await situation()}`)
      }
    },
    stop: async () => void (await loop.stopTraining(ORGANIZATION, project, number())),
    abort: async () => void (await loop.abortTraining(ORGANIZATION, project, number())),
    seen,
    record,
    states,
    effects: (kind) => loop.effects({ kind }),
    uploads() {
      const start = `${ORGANIZATION}/${project}#${number()}/`
      return countBy(loop.effects({ kind: 'training-model' }), start, '')
    },
    detectionCounts() {
      const end = `@${seen().models[0]?.version}`
      return countBy(loop.effects({ kind: 'detections' }), `${ORGANIZATION}/${project}/`, end)
    },
    hold(match, delayMs = 1500) {
      const { id: faultId } = loop.addFault({ match, kind: 'delay', delayMs })
      const isReached = () => loop.faults().some((fault) => fault.id === faultId && fault.done > 0)
      return {
        reached: async () => void (await until(`a request of ${JSON.stringify(match)}`, isReached, 20_000)),
        release: () => loop.clearFaults(faultId),
      }
    },
    async step(stage, run) {
      const training = await record()
      if (training.hostId === null) return undefined
      const { allStages } = await import('../../src/workers/trainings/pipeline.js') // few tests ask, and it loads half the program
      const queue = queueNames.host(training.hostId, allStages[stage].kind)
      const start = `${training.id}.${run ?? training.run}.${stage}`
      return (await queues.jobs(queue, JOB_STATES)).find(
        ({ id: jobId }) => jobId === start || jobId.startsWith(`${start}.`),
      )
    },
    workspace,
    async starts(worker) {
      const text = await readFile(join(await workspace(worker), 'starts.jsonl'), 'utf8').catch(() => '')
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as QuickStart)
    },
    startWorker,
    runWorker: ({ data, gpus }) => runCli(workerStart(data, gpus).cli),
    async startTrainer() {
      trainer = await startTrainer()
      return trainer
    },
    killWorker: (signal, worker = newest()) => worker.kill(signal),
    async killTree(worker = newest()) {
      process.kill(worker.pid, 'SIGSTOP') // it must not see its programs end and write that down
      const guards = await processesWith('LOOPFLEET_WORKSPACE', (path) => path.startsWith(`${worker.folder}/`))
      const own = await processesWith('LOOPFLEET_HOST_NAME', (host) => host === worker.hostId)
      killAll([...guards, ...own, ...(await processTreeOf(worker.pid))])
      await worker.exited
    },
    programs: (worker) => {
      const start = worker === undefined ? `${id}-` : `${worker.hostId}:`
      return processesWith('LOOPFLEET_OWNER', (owner) => owner.startsWith(start) && !owner.includes(':preflight-'))
    },
    run: (...args) => runCli({ args, env: environment(), logFile: logFile(args[0]) }),
    async close() {
      await closeAll(closers)
      const left = await whatIsLeft(id, folder)
      await removeTree(folder)
      if (left.length === 0) return
      const names = await describeProcesses(left)
      killAll(left)
      throw new Error(`The fleet has left processes behind: ${names}.`)
    },
  }
  return fleet
}

/** Looks for two seconds: guards end a moment after what they guard. */
async function whatIsLeft(id: string, folder: string): Promise<number[]> {
  const look = async () => [
    ...(await processesWith(FLEET_VARIABLE, (value) => value === id)),
    ...(await processesWith('LOOPFLEET_OWNER', (owner) => owner.startsWith(`${id}-`))),
    ...(await processesWith('LOOPFLEET_WORKSPACE', (path) => path.startsWith(`${folder}/`))),
  ]
  await until('nothing is left', async () => (await look()).length === 0, 2000).catch(() => undefined)
  return look()
}

/** In reverse order, each in any case; the first failure is thrown at the end. */
async function closeAll(closers: (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = []
  while (closers.length > 0)
    await closers
      .pop()?.()
      .catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw failures[0]
}

/** Effects by the middle part of their keys. */
function countBy(effects: readonly Effect[], start: string, end: string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { key } of effects) {
    if (!key.startsWith(start) || !key.endsWith(end)) continue
    const name = key.slice(start.length, key.length - end.length)
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

function lastLines(text: string, lines: number): string {
  return text.trimEnd().split('\n').slice(-lines).join('\n')
}
