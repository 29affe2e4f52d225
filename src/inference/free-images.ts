import { MessageChannel } from 'node:worker_threads'
import { buffersOf, type OwnedImage } from './image-source.js'

// What is sent to nobody is moved all the same, which is how the standard has a port that is closed.
const { port1: nowhere, port2: closed } = new MessageChannel()
closed.close()

/**
 * Gives the memory of images back at once; they are empty afterwards, so nothing may read them any more. Left to V8, each
 * waits until the thread's whole heap is looked through, for which a few hundred images are reason enough.
 */
export function freeImages(images: readonly OwnedImage[]): void {
  const buffers = images.flatMap(buffersOf)
  if (buffers.length > 0) nowhere.postMessage(null, buffers)
}
