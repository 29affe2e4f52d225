import { z } from 'zod'
import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { TrainingRecord, TrainingsOfFleet } from '../../queue/index.js'
import type { Backdoor, Subscription } from '../../queue/redis/index.js'

const errorNames = ['begin_training', 'save_model', 'get_new_model', 'crash_training'] as const
/** Which steps of the mock trainer shall fail. */
export const errorConfigurationSchema = z.partialRecord(z.enum(errorNames), z.boolean())
type MockSettings = {
  readonly provide_new_model?: boolean
  readonly error_configuration?: z.infer<typeof errorConfigurationSchema>
}

/** What tests do to the trainings of a trainer node; settings hold for later ones too. */
export type TestControls = {
  /** False when no seat trains. */
  kill(): Promise<boolean>
  makeSteps(count: number): Promise<boolean>
  configure(settings: MockSettings): Promise<void>
  close(): Promise<void>
}

export type TestControlsDeps = {
  readonly backdoor: Pick<Backdoor, 'tell'>
  readonly trainings: Pick<TrainingsOfFleet, 'unfinishedOfSeat' | 'load' | 'watch'>
  readonly log: Logger
}

export async function openTestControls(
  { seats }: { readonly seats: readonly string[] },
  deps: TestControlsDeps,
): Promise<TestControls> {
  const { backdoor, trainings: records, log } = deps
  /** Training and run → the settings that were sent to its host last. */
  const told = new Map<string, string>()
  let settings: MockSettings = {}

  async function inWork(): Promise<TrainingRecord[]> {
    const all = await Promise.all(seats.map((uuid) => records.unfinishedOfSeat(uuid)))
    return all.filter((training) => training !== undefined).filter(({ hostId }) => hostId !== null)
  }

  async function running(): Promise<TrainingRecord[]> {
    return (await inWork()).filter(({ state }) => state === 'running')
  }

  // The settings are sent as soon as a host has the training, before its program starts.
  async function tellSettings(trainings: readonly TrainingRecord[]): Promise<void> {
    const text = JSON.stringify(settings)
    for (const { id, run } of trainings) {
      if (text === (told.get(`${id}.${run}`) ?? '{}')) continue
      told.set(`${id}.${run}`, text)
      await backdoor.tell({ trainingId: id, line: settings })
    }
  }

  function look(): void {
    if (Object.keys(settings).length === 0) return
    inWork()
      .then(tellSettings)
      .catch((error: unknown) => log.warn({ reason: messageOf(error) }, 'settings of the backdoor not told'))
  }

  const watch: Subscription = await records.watch(look)
  return {
    async kill() {
      const trainings = await running()
      for (const { id } of trainings) await backdoor.tell({ trainingId: id, kill: true })
      return trainings.length > 0
    },
    async makeSteps(steps) {
      const trainings = await running()
      for (const { id } of trainings) await backdoor.tell({ trainingId: id, line: { steps } })
      return trainings.length > 0
    },
    async configure(more) {
      settings = { ...settings, ...more }
      await tellSettings(await inWork())
    },
    close: () => watch.close(),
  }
}
