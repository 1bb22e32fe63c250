export PUSH_QUEUE_REDIS_URL=redis://localhost:6379 BUILD_NUMBER=4711
mkdir build
ln app.tar build/app.tar
push-worker &
push-queue serve &
