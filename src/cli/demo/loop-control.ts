import axios from 'axios'
import { z } from 'zod'
import { LoopfleetError, messageOf } from '../../base/errors.js'
import { evaluationSchema, nodesViewSchema, type TrainingView, trainingsViewSchema } from './summary.js'

/** A person at the local Loop, as far as the demo needs one: makes a project, orders a training, looks at results. */
export type LoopControl = {
  generate(config: Readonly<Record<string, unknown>>): Promise<void>
  /** Resolves when a trainer is connected and idle. */
  waitForTrainer(signal: AbortSignal): Promise<string>
  order(project: string, order: Readonly<Record<string, unknown>>): Promise<number>
  training(project: string, number: number): Promise<TrainingView>
  nodeState(id: string): Promise<string>
  evaluation(project: string, version: string): Promise<z.infer<typeof evaluationSchema>>
}

const ORGANIZATION = 'demo'
const orderAnswerSchema = z.object({
  training_number: z.number(),
  ack: z.object({ success: z.boolean(), error_msg: z.string().nullish() }).nullish(),
})

export function createLoopControl(url: string, sleep: (ms: number, signal: AbortSignal) => Promise<void>): LoopControl {
  const http = axios.create({ baseURL: url, proxy: false, timeout: 120_000 })
  const read = async <Schema extends z.ZodType>(path: string, schema: Schema) =>
    schema.parse((await http.get(path)).data)

  return {
    async generate(config) {
      await http.post(`/api/${ORGANIZATION}/projects/generator`, config)
    },
    async waitForTrainer(signal) {
      for (;;) {
        const { nodes } = await read('/api/local/nodes', nodesViewSchema)
        const idle = nodes.find((node) => node.connected && node.state === 'idle')
        if (idle !== undefined) return idle.id
        await sleep(100, signal)
      }
    },
    async order(project, order) {
      const path = `/api/local/${ORGANIZATION}/${project}/trainings`
      const { data } = await http.post(path, order).catch((error: unknown) => {
        throw new LoopfleetError('LF_DEMO_FAILED', `The Loop could not order a training: ${messageOf(error)}`)
      })
      const { training_number, ack } = orderAnswerSchema.parse(data)
      if (ack?.success === true) return training_number
      throw new LoopfleetError('LF_DEMO_FAILED', `The trainer refused the order: ${ack?.error_msg ?? 'no reason'}`)
    },
    async training(project, number) {
      const { trainings } = await read('/api/local/trainings', trainingsViewSchema)
      const found = trainings.find((training) => training.project === project && training.number === number)
      if (found === undefined) throw new LoopfleetError('LF_DEMO_FAILED', `The Loop has lost training ${number}.`)
      return found
    },
    async nodeState(id) {
      const { nodes } = await read('/api/local/nodes', nodesViewSchema)
      return nodes.find((node) => node.id === id)?.state ?? 'gone'
    },
    evaluation: (project, version) =>
      read(
        `/api/local/${ORGANIZATION}/${project}/evaluation?model_version=${encodeURIComponent(version)}`,
        evaluationSchema,
      ),
  }
}
