import { mkdir, readdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, readJsonFile, writeJsonFile } from '../../../base/index.js'
import { EVENTS_FILE, TRAINING_FILE, trainingFileSchema, visibleGpus } from '../../contract/index.js'
import { importPlugin } from '../import-plugin.js'
import { HookLimit } from './hook-limit.js'
import { HookPoller } from './hook-poller.js'
import { createReports } from './reports.js'
import { type Ended, runStarted } from './run-started.js'
import type { TrainerLogic, Training } from './trainer-logic.js'

// The child process in which the hooks of a trainer plug-in run: FILE HOOK [ARGUMENT …], in the workspace.
const [file = '', hook = '', ...args] = process.argv.slice(2)

const HOOK_TIMEOUT_MS = 60_000
const ANSWERS_WITHIN_MS = 1000
/** Distinct from what programs usually exit with. */
const HOOK_FAILED = 70
/** As `train.resume_check` of a trainer file answers. */
const RESUMES = 0
const FINISHED = 10
const UNUSABLE = 11
const starts = { scratch: 'startFromScratch', continue: 'startFromBaseModel', resume: 'resume' } as const

const asked = new AbortController()
process.on('SIGTERM', () => asked.abort())

async function main(): Promise<Ended> {
  // Its schema was checked when the trainer was loaded; a file that was changed since fails where it is used.
  const logic = (await importPlugin(file, 'trainer')) as unknown as TrainerLogic
  const workspace = process.cwd()
  const training = await openTraining({ workspace, env: process.env, signal: asked.signal })
  const limitMs = logic.hookTimeoutMs ?? HOOK_TIMEOUT_MS
  const limit = () => new HookLimit({ limitMs, eventsFile: eventsFileOf(workspace, process.env) })
  switch (hook) {
    case 'scratch':
    case 'continue':
    case 'resume':
      return train(starts[hook], logic, training, limit())
    case 'can-resume':
      return { exitCode: resumeCode(await limit().call('canResume', () => logic.canResume?.(training))), signal: null }
    case 'convert':
      return convert(logic, training)
    case 'detect': {
      const [model = '', images = '', output = ''] = args
      await runDetect(logic, training, { model, images, output })
      return { exitCode: 0, signal: null }
    }
    case 'clean-up':
      await limit().call('cleanUp', () => logic.cleanUp?.(training))
      return { exitCode: 0, signal: null }
    default:
      throw new Error(`There is no hook "${hook}".`)
  }
}

function resumeCode(answer: unknown): number {
  if (answer === 'finished') return FINISHED
  return answer ? RESUMES : UNUSABLE
}

async function train(
  name: (typeof starts)[keyof typeof starts],
  logic: TrainerLogic,
  training: Training,
  limit: HookLimit,
): Promise<Ended> {
  const poller = await HookPoller.open(logic, training, limit)
  const over = new AbortController()
  const started = (async () => logic[name]?.(training))()
  const worked = started.then((answer) => runStarted(name, answer, training)).finally(() => over.abort())
  // A hook may read its state before it starts a program; one that takes longer does the work itself.
  const looks = Promise.race([started, sleep(ANSWERS_WITHIN_MS)]).then(() => poller.poll(over.signal))
  await Promise.all([worked, looks])
  await poller.pollLast()
  return worked
}

async function convert(logic: TrainerLogic, training: Training): Promise<Ended> {
  const [format = '', folder = ''] = args
  const step = logic.convert?.find((one) => one.format === format)
  if (step === undefined) throw new Error(`The plug-in converts to no format "${format}".`)
  return runStarted('convert', await step.convert({ folder }, training), training)
}

/** Reports the error to the worker; processes of the group end with this one. */
function fail(error: unknown): Ended {
  console.error(error)
  // After the stack: the last line is what people are shown of a command that failed.
  console.error(messageOf(error))
  const isTraining = hook in starts
  if (isTraining) reportError(messageOf(error))
  return { exitCode: HOOK_FAILED, signal: null }
}

function reportError(message: string): void {
  createReports({ eventsFile: eventsFileOf(process.cwd(), process.env), folder: process.cwd() }).error(message)
}

type OpenTrainingOptions = {
  /** Absolute; holds training.json. */
  readonly workspace: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
  readonly resume?: boolean
}

/** The training of a workspace as the hooks see it. Throws LF_FILE_INVALID, or an Error when there is none. */
async function openTraining({ workspace, env, signal, resume }: OpenTrainingOptions): Promise<Training> {
  const file = await readJsonFile(join(workspace, TRAINING_FILE), trainingFileSchema)
  if (file === undefined) throw new Error(`There is no ${TRAINING_FILE} in ${workspace}.`)
  return {
    id: file.id,
    organization: file.organization,
    project: file.project,
    trainingNumber: file.training_number,
    categories: file.categories,
    hyperparameters: file.hyperparameters,
    modelVariant: file.model_variant,
    folder: workspace,
    dataset: { ...file.dataset, folder: resolve(workspace, file.dataset.folder) },
    baseModel: file.base_model === null ? null : { folder: resolve(workspace, file.base_model.folder) },
    resume: resume ?? file.resume,
    gpus: visibleGpus(env.CUDA_VISIBLE_DEVICES),
    signal,
    report: createReports({ eventsFile: eventsFileOf(workspace, env), folder: workspace }),
  }
}

/** Where a program that was started for this workspace reports. */
function eventsFileOf(workspace: string, env: OpenTrainingOptions['env']): string {
  return env.LOOPFLEET_EVENTS ?? join(workspace, EVENTS_FILE)
}

type Folders = { readonly model: string; readonly images: string; readonly output: string }

/** Hands the images of a folder to the hook and writes what it finds into the file that the worker reads. */
async function runDetect(logic: TrainerLogic, training: Training, folders: Folders): Promise<void> {
  if (typeof logic.detect !== 'function') throw new Error('The plug-in has no hook "detect".')
  const names = (await readdir(folders.images)).filter((name) => name.endsWith('.jpg')).sort()
  const images = names.map((name) => ({ id: basename(name, '.jpg'), path: join(folders.images, name) }))
  const found: unknown = await logic.detect(images, { folder: folders.model }, training)
  if (!Array.isArray(found)) throw new TypeError('The hook "detect" answered no list.')
  await mkdir(folders.output, { recursive: true })
  await writeJsonFile(join(folders.output, 'detections.json'), found)
}

const { exitCode, signal } = await main().catch(fail)
process.removeAllListeners('SIGTERM')
if (signal !== null) process.kill(process.pid, signal) // as the program that was run for us has ended
process.exit(exitCode ?? HOOK_FAILED) // whatever the plug-in has left open
