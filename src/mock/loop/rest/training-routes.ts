import type { FastifyInstance } from 'fastify'
import type { LoopContext } from '../context.js'
import type { Project } from '../store/project.js'
import type { TrainingRecord } from '../store/records.js'
import { scoresOf } from '../trainings/metrics.js'
import { projectOf } from './route-params.js'

/** The charts of a project's trainings, latest first; their first point belongs to the latest model. */
export function registerTrainingRoutes(app: FastifyInstance, context: LoopContext): void {
  app.get('/api/:o/projects/:p/trainings', async (request) => {
    const project = projectOf(context, request)
    const trainings = [...project.record.trainings].reverse().filter(({ points }) => points.length > 0)
    return { charts: trainings.map((training) => toChart(project, training)) }
  })
}

function toChart(project: Project, training: TrainingRecord) {
  const { number, trainer_id, trainer_name, created, ended } = training
  const data = [...training.points].reverse().map((point) => ({
    ...point,
    model_version: project.record.models.find(({ id }) => id === point.model_id)?.version ?? null,
    ...scoresOf(point.confusion_matrix),
  }))
  return { training_number: number, trainer_id, trainer_name, created, ended, data }
}
