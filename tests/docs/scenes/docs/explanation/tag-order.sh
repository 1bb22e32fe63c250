export PUSH_QUEUE_REDIS_URL=redis://localhost:6379
# One job after the other, the newer one first.
push-queue enqueue app.tar --to reg.example.com/app:latest --id build-11
push-queue enqueue app.tar --to reg.example.com/app:latest --id build-12 --priority high
PUSH_QUEUE_MAX_JOBS=1 push-worker &
push-queue watch build-11 build-12
