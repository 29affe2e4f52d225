import { existsSync } from 'node:fs'
import { cp, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { z } from 'zod'
import { removeTree } from '../../src/base/files.js'
import { type CliProcess, startCli } from '../../test/helpers/cli-process.js'
import { projectRoot } from '../../test/helpers/project-root.js'
import { until } from '../../test/helpers/until.js'
import { basicEnvironment } from './measured-child.js'

export const ORGANIZATION = 'zauberzeug'
/** A project of three images, for the first training of a process. */
export const SMALL = 'small'
export const LARGE = 'large'

const trainingSchema = z.object({
  organization: z.string(),
  project: z.string(),
  number: z.int(),
  trainer_id: z.string(),
  ended: z.string().nullable(),
  outcome: z.string().nullable(),
  errors: z.record(z.string(), z.string()),
  history: z.array(z.object({ time: z.number(), state: z.string(), progress: z.number().nullable() })),
})
export type SeenTraining = z.output<typeof trainingSchema>
const nodeSchema = z.object({ id: z.string(), type: z.string(), state: z.string().nullable(), connected: z.boolean() })
const effectSchema = z.object({ kind: z.string(), key: z.string(), time: z.number() })

/** The local Loop as a process of its own, seen through its HTTP interface. */
export type LoopProcess = {
  readonly host: string
  readonly pid: number
  order(project: string, request?: object): Promise<number>
  training(project: string, number: number): Promise<SeenTraining | undefined>
  nodes(): Promise<readonly z.output<typeof nodeSchema>[]>
  effects(): Promise<readonly z.output<typeof effectSchema>[]>
  end(): Promise<void>
}

/** Starts a local Loop with a project of three images and one of `images` images, all complete. */
export async function startLoop(folder: string, options: { readonly images: number; readonly seed: number }) {
  await cp(await template(options), folder, { recursive: true })
  return await startLoopOn(folder)
}

/** Drawing thousands of images takes a minute, so that a Loop that has them is kept for the next bench. */
async function template({ images, seed }: { readonly images: number; readonly seed: number }): Promise<string> {
  const kept = join(projectRoot(), '.cache/bench', `loop-${images}-${seed}`)
  if (existsSync(kept)) return kept
  const unfinished = `${kept}.${process.pid}`
  await removeTree(unfinished)
  const loop = await startLoopOn(unfinished)
  try {
    const shared = { box_categories: 1, image_style: 'beautiful', seed }
    for (const [project_name, complete] of [[SMALL, 3] as const, [LARGE, images] as const]) {
      await ask(loop.host, 'POST', `/${ORGANIZATION}/projects/generator`, { ...shared, project_name, complete })
    }
  } finally {
    await loop.end()
    await removeTree(`${unfinished}.log`)
  }
  await rename(unfinished, kept)
  return kept
}

/** Starts a local Loop on a folder as it is. */
export async function startLoopOn(folder: string): Promise<LoopProcess> {
  await mkdir(folder, { recursive: true })
  const cli: CliProcess = await startCli({
    args: ['loop', '--port', '0', '--data', folder],
    env: basicEnvironment(),
    logFile: `${folder}.log`,
  })
  const host = String(cli.facts.host)
  const list = async <Item extends z.ZodType>(name: string, item: Item): Promise<z.output<Item>[]> => {
    const answer = await ask(host, 'GET', `/local/${name}`)
    return z.array(item).parse(z.record(z.string(), z.unknown()).parse(answer)[name])
  }
  return {
    host,
    pid: cli.pid,
    async order(project, request = {}) {
      const answer = await ask(host, 'POST', `/local/${ORGANIZATION}/${project}/trainings`, request)
      return z.object({ training_number: z.int(), ack: z.object({ success: z.literal(true) }) }).parse(answer)
        .training_number
    },
    async training(project, number) {
      const trainings = await list('trainings', trainingSchema)
      return trainings.find((training) => training.project === project && training.number === number)
    },
    nodes: () => list('nodes', nodeSchema),
    effects: () => list('effects', effectSchema),
    end: async () => void (await cli.end()),
  }
}

/** Waits until so many trainers are connected and idle. */
export async function untilIdle(loop: LoopProcess, trainers: number, withinMs = 60_000): Promise<void> {
  const isIdle = async () => {
    const nodes = await loop.nodes()
    return nodes.filter(({ type, state, connected }) => type === 'trainer' && state === 'idle' && connected).length
  }
  await until(`${trainers} idle trainers`, async () => (await isIdle()) >= trainers, withinMs)
}

async function ask(host: string, method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`http://${host}/api${path}`, {
    method,
    headers: { connection: 'close', ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`The local Loop answered ${response.status} to ${path}: ${await response.text()}`)
  return await response.json()
}
