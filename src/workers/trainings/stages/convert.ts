import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../../executors/training/index.js'
import { NoModelError } from '../errors.js'
import { layOut } from '../lay-out-model.js'
import { ensureTrainingFile } from '../training-file.js'
import type { TrainingRun } from '../training-run.js'
import type { Stage, StageContext, StageDeps } from './stage.js'

/** Runs the conversion programs of the trainer, one after the other, on the model that will be uploaded. */
export const convert: Stage = {
  name: 'convert',
  kind: 'convert',
  loopStates: { during: null, after: null },
  reportsProgress: false,
  errorKey: 'upload_model',
  onStop: 'continues',
  servesUpload: true,
  results: resultsOf,
  run,
}

async function run(context: StageContext, deps: StageDeps) {
  const { training, signal } = context
  const { definition, paths } = training
  const formats: string[] = []
  await ensureTrainingFile(training)
  // An earlier attempt may have left incomplete files.
  const best = await training.modelSets.lastSynced()
  if (best !== undefined) await layOut(best, training)
  for (const [index, step] of definition.convert.entries()) {
    context.progress({ progress: index / definition.convert.length, message: step.format })
    await training.checkFence()
    await runCommand(
      {
        definition,
        command: step.command,
        workspace: paths.workspace,
        modelFolder: paths.model,
        order: training.order,
        owner: training.owner,
        env: training.programEnv,
        gpus: training.lease?.visible ?? [],
        logFile: paths.log,
        signal,
        audience: context.audience,
      },
      { log: context.log, outputThread: deps.outputThread },
    )
    await checkFiles(step.format, definition.upload[step.format] ?? [], paths.model)
    context.say(`converted to ${step.format}`)
    formats.push(step.format)
  }
  return { formats }
}

// Read from the current trainer file: it may have been corrected since, and name other files.
function resultsOf({ definition, paths }: TrainingRun): readonly string[] {
  const made = definition.convert.flatMap(({ format }) => definition.upload[format] ?? [])
  return [paths.model, ...made.map((name) => join(paths.model, name))]
}

async function checkFiles(format: string, files: readonly string[], folder: string): Promise<void> {
  for (const file of files) {
    const there = await access(join(folder, file)).then(
      () => true,
      () => false,
    )
    if (!there) throw new NoModelError(`The conversion to "${format}" made no file "${file}".`, { format, file })
  }
}
