import { expect } from 'chai'
import type { z } from 'zod'
import {
  aboutAnswerSchema,
  annotatorStatusSchema,
  answerSchema,
  beginTraining08Schema,
  beginTrainingCurrentSchema,
  dataAnswerSchema,
  deploymentTargetSchema,
  detectionsUploadSchema,
  detectorReportSchema,
  detectorStatusSchema,
  generatorConfigSchema,
  imageMetadataSchema,
  imagesAnswerSchema,
  modelJsonSchema,
  modelsAnswerSchema,
  modelUploadAnswerSchema,
  modelVersionAnswerSchema,
  projectAnswerSchema,
  projectsAnswerSchema,
  segmentationAnnotationSchema,
  trainerStatus08Schema,
  trainerStatusCurrentSchema,
  trainerStatusSchema,
  trainingMetrics08Schema,
  trainingMetricsCurrentSchema,
  trainingsAnswerSchema,
  userInputSchema,
} from '../../../src/loop/protocol/index.js'
import { golden } from './golden.js'

const MESSAGES: readonly [folder: '0.8' | 'current' | 'both' | 'union', name: string, schema: z.ZodType][] = [
  ['0.8', 'begin-training-pretrained', beginTraining08Schema],
  ['0.8', 'begin-training-continue', beginTraining08Schema],
  ['0.8', 'trainer-status-idle', trainerStatus08Schema],
  ['0.8', 'trainer-status-running', trainerStatusSchema],
  ['0.8', 'trainer-status-uploading', trainerStatusSchema],
  ['0.8', 'training-metrics', trainingMetrics08Schema],
  ['0.8', 'detections', detectionsUploadSchema],
  ['0.8', 'detector-status', detectorStatusSchema],
  ['0.8', 'detector-target', answerSchema],
  ['0.8', 'projects-answer', projectsAnswerSchema],
  ['0.8', 'project-answer', projectAnswerSchema],
  ['current', 'begin-training-scratch', beginTrainingCurrentSchema],
  ['current', 'begin-training-continue', beginTrainingCurrentSchema],
  ['current', 'trainer-status-idle', trainerStatusCurrentSchema],
  ['current', 'trainer-status-running', trainerStatusSchema],
  ['current', 'trainer-status-uploading', trainerStatusSchema],
  ['current', 'training-metrics', trainingMetricsCurrentSchema],
  ['current', 'detections', detectionsUploadSchema],
  ['current', 'detector-report', detectorReportSchema],
  ['current', 'deployment-target', deploymentTargetSchema],
  ['current', 'image-metadata', imageMetadataSchema],
  ['current', 'detector-about', aboutAnswerSchema],
  ['current', 'detector-model-version', modelVersionAnswerSchema],
  ['both', 'annotator-status', annotatorStatusSchema],
  ['both', 'user-input', userInputSchema],
  ['both', 'segmentation-annotation', segmentationAnnotationSchema],
  ['both', 'data-answer', dataAnswerSchema],
  ['both', 'images-answer', imagesAnswerSchema],
  ['both', 'models-answer', modelsAnswerSchema],
  ['both', 'model-json', modelJsonSchema],
  ['both', 'model-upload-answer', modelUploadAnswerSchema],
  ['both', 'trainings-answer', trainingsAnswerSchema],
  ['both', 'generator-config', generatorConfigSchema],
  ['union', 'begin-training', beginTraining08Schema],
  ['union', 'begin-training', beginTrainingCurrentSchema],
]

describe('golden messages', () => {
  for (const [folder, name, schema] of MESSAGES) {
    it(`reads ${folder}/${name} and changes nothing`, () => {
      const message = golden(folder, name)

      expect(schema.parse(message)).to.deep.equal(message)
    })
  }
})
