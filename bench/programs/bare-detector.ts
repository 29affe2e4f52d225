// The least a detector can be: fastify that takes a multipart image, decodes it if asked to, and answers always the same.
// Started with `decode` or `plain`; prints its port.
import process from 'node:process'
import multipart from '@fastify/multipart'
import { fastify } from 'fastify'
import sharp from 'sharp'

const ANSWER = {
  box_detections: [],
  point_detections: [],
  segmentation_detections: [],
  classification_detections: [],
  tags: [],
  created: null,
  source: null,
}

sharp.cache(false)
sharp.concurrency(1)
const decodes = process.argv[2] === 'decode'
const app = fastify()
await app.register(multipart)
app.post('/detect', async (request) => {
  const file = await request.file()
  const bytes = await file?.toBuffer()
  if (decodes && bytes !== undefined) await sharp(bytes).raw().toBuffer()
  return ANSWER
})
const address = await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`${new URL(address).port}\n`)
process.once('SIGTERM', () => void app.close())
