export PUSH_QUEUE_REDIS_URL=redis://localhost:6379
push-worker &
push-queue serve &
mkdir build
ln -s "$PWD/app.tar" build/
[ -e examples ] || ln -s "$ROOT/examples" .
BUILD_NUMBER=4711
