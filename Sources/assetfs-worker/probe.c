/* Determines the type of a file by libmagic, and its streams by libavformat. Neither gets a name, only an
 * open descriptor. */
#define _GNU_SOURCE
#include "worker.h"
#include <dlfcn.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The limit of the bytes that are read of a file: a hostile one could make the parser read everything over
 * and over. */
static const int64_t readingLimit = 64 << 20;

/* The functions of libavformat, libavcodec and libavutil. These and the libraries that they need are 130
 * files, which a worker of another kind would load in vain at each start. */
static struct {
    __typeof__(av_dict_free) *av_dict_free;
    __typeof__(av_dict_set) *av_dict_set;
    __typeof__(av_display_rotation_get) *av_display_rotation_get;
    __typeof__(av_freep) *av_freep;
    __typeof__(av_log_set_level) *av_log_set_level;
    __typeof__(av_malloc) *av_malloc;
    __typeof__(av_stream_get_side_data) *av_stream_get_side_data;
    __typeof__(avcodec_get_name) *avcodec_get_name;
    __typeof__(avcodec_profile_name) *avcodec_profile_name;
    __typeof__(avformat_alloc_context) *avformat_alloc_context;
    __typeof__(avformat_close_input) *avformat_close_input;
    __typeof__(avformat_find_stream_info) *avformat_find_stream_info;
    __typeof__(avformat_open_input) *avformat_open_input;
    __typeof__(avio_alloc_context) *avio_alloc_context;
    __typeof__(avio_context_free) *avio_context_free;
} media;

/* Loads the libraries of `media`; called before the sandbox, in which no file can be opened. */
static void load_media(void) {
    void *library = dlopen("libavformat.so." AV_STRINGIFY(LIBAVFORMAT_VERSION_MAJOR), RTLD_LAZY);
    if (!library) worker_fail_because("libavformat", dlerror());
    /* dlsym(3) searches the libraries that a library needs, too. */
#define LOAD(name) if (!(media.name = (__typeof__(media.name))dlsym(library, #name))) worker_fail_because(#name, dlerror())
    LOAD(av_dict_free); LOAD(av_dict_set); LOAD(av_display_rotation_get); LOAD(av_freep); LOAD(av_log_set_level);
    LOAD(av_malloc); LOAD(av_stream_get_side_data); LOAD(avcodec_get_name); LOAD(avcodec_profile_name);
    LOAD(avformat_alloc_context); LOAD(avformat_close_input); LOAD(avformat_find_stream_info);
    LOAD(avformat_open_input); LOAD(avio_alloc_context); LOAD(avio_context_free);
#undef LOAD
}

struct source { int file; int64_t position, size, left; };

static int source_read(void *opaque, uint8_t *buffer, int count) {
    struct source *source = opaque;
    if ((source->left -= count) < 0) return AVERROR(EIO);
    ssize_t got = pread(source->file, buffer, (size_t)count, source->position);
    if (got < 0) return AVERROR(EIO);
    if (got == 0) return AVERROR_EOF;
    source->position += got;
    return (int)got;
}

static int64_t source_seek(void *opaque, int64_t offset, int whence) {
    struct source *source = opaque;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return source->size;
    if (whence == SEEK_CUR) offset += source->position;
    if (whence == SEEK_END) offset += source->size;
    if (offset < 0) return -1;
    return source->position = offset;
}

/* Writes a fact: its name and its value, each with a NUL behind it. */
static void tell(FILE *reply, const char *name, const char *value) {
    fwrite(name, 1, strlen(name) + 1, reply);
    fwrite(value, 1, strnlen(value, 200), reply);
    fputc(0, reply);
}

static void tell_number(FILE *reply, const char *name, double value) {
    char text[40];
    snprintf(text, sizeof text, value == (double)(int64_t)value ? "%.0f" : "%.3f", value);
    tell(reply, name, text);
}

/* The demuxers for common formats; those for the music of old games are left out, and so is any that opens
 * a second file. */
static const char formats[] =
    "mov,mp4,m4a,matroska,webm,mp3,ogg,flac,wav,w64,aiff,avi,asf,flv,live_flv,mpegts,mpeg,mpegvideo,h264,hevc,m4v,aac,ac3,eac3,dts,"
    "ape,wv,mpc,mpc8,tak,tta,dsf,caf,amr,au,mxf,dv,rm,wtv,swf,aa,rawvideo";

static void tell_stream(FILE *reply, const AVStream *stream, const char *kind) {
    const AVCodecParameters *parameters = stream->codecpar;
    tell(reply, kind, media.avcodec_get_name(parameters->codec_id));
    if (parameters->bit_rate > 0) tell_number(reply, "bitrate", (double)parameters->bit_rate);
    const char *profile = media.avcodec_profile_name(parameters->codec_id, parameters->profile);
    if (profile) tell(reply, "profile", profile);
    if (parameters->codec_type == AVMEDIA_TYPE_AUDIO) {
        tell_number(reply, "sample_rate", parameters->sample_rate);
        tell_number(reply, "channels", parameters->ch_layout.nb_channels);
        return;
    }
    tell_number(reply, "width", parameters->width);
    tell_number(reply, "height", parameters->height);
    if (stream->avg_frame_rate.num && stream->avg_frame_rate.den) tell_number(reply, "frame_rate", av_q2d(stream->avg_frame_rate));
    int32_t *matrix = (int32_t *)media.av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, NULL);
    if (matrix) tell_number(reply, "rotation", (double)(((int)-media.av_display_rotation_get(matrix) + 360) % 360));
}

static void tell_streams(FILE *reply, int file, int64_t size, int isMedia) {
    struct source source = {file, 0, size, readingLimit};
    AVFormatContext *format = media.avformat_alloc_context();
    unsigned char *buffer = media.av_malloc(65536);
    AVIOContext *io = buffer ? media.avio_alloc_context(buffer, 65536, 0, &source, source_read, NULL, source_seek) : NULL;
    if (!format || !io) _exit(1);
    format->pb = io;
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    AVDictionary *options = NULL;
    media.av_dict_set(&options, "probesize", "5000000", 0);
    media.av_dict_set(&options, "analyzeduration", "2000000", 0);
    media.av_dict_set(&options, "max_streams", "64", 0);
    media.av_dict_set(&options, "protocol_whitelist", "none", 0);
    media.av_dict_set(&options, "format_whitelist", formats, 0);
    int opened = media.avformat_open_input(&format, "", NULL, &options);
    media.av_dict_free(&options);
    /* A weak guess is believed only where libmagic agrees. */
    if (opened == 0 && (isMedia || format->probe_score > AVPROBE_SCORE_EXTENSION / 2)) {
        media.avformat_find_stream_info(format, NULL);
        tell(reply, "container", format->iformat->name);
        if (format->duration != AV_NOPTS_VALUE && format->duration > 0) tell_number(reply, "duration", format->duration / 1e6);
        if (format->bit_rate > 0) tell_number(reply, "bitrate", (double)format->bit_rate);
        for (unsigned i = 0; i < format->nb_streams && i < 64; i++) {
            const AVStream *stream = format->streams[i];
            /* An attached cover picture is no video stream. */
            if (stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) tell_stream(reply, stream, "audio");
            else if (stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC))
                tell_stream(reply, stream, "video");
        }
    }
    media.avformat_close_input(&format);
    media.av_freep(&io->buffer);
    media.avio_context_free(&io);
}

static int has_no_streams(const char *type) {
    static const char *const beginnings[] = {"image/", "text/", "font/", "application/pdf", "application/zip", NULL};
    for (int i = 0; beginnings[i]; i++)
        if (strncmp(type, beginnings[i], strlen(beginnings[i])) == 0) return 1;
    return strstr(type, "officedocument") || strstr(type, "opendocument") || strstr(type, "executable");
}

static void examine(FILE *reply, magic_t magic, int file, int isTypeOnly) {
    struct stat status;
    if (fstat(file, &status)) return;
    const char *answer = magic_descriptor(magic, file);
    char type[256];
    snprintf(type, sizeof type, "%s", answer ? answer : "application/octet-stream");
    char *charset = strstr(type, "; charset=");
    if (charset) *charset = 0;
    tell(reply, "type", type);
    if (charset) tell(reply, "charset", charset + strlen("; charset="));
    if (isTypeOnly || has_no_streams(type)) return;
    tell_streams(reply, file, status.st_size, strncmp(type, "audio/", 6) == 0 || strncmp(type, "video/", 6) == 0);
}

/* Receives a request and its descriptor; -1 when the socket is closed. */
static int receive(char *kind) {
    union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control;
    struct iovec part = {kind, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    if (recvmsg(0, &message, MSG_CMSG_CLOEXEC) <= 0) return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS) return -1;
    int file;
    memcpy(&file, CMSG_DATA(header), sizeof file);
    return file;
}

void probe_serve(void) {
    load_media();
    media.av_log_set_level(AV_LOG_QUIET);
    magic_t magic = magic_open(MAGIC_MIME | MAGIC_NO_CHECK_COMPRESS);
    if (!magic || magic_load(magic, NULL)) worker_fail("libmagic has no database");
    sandbox_enter(0);
    sandbox_confine(NULL, NULL, 0);
    sandbox_filter(0);
    send(0, "ready", 5, 0);
    static char reply[65536];
    char kind;
    for (int file; (file = receive(&kind)) >= 0; close(file)) {
        FILE *stream = fmemopen(reply, sizeof reply - 1, "w");
        if (!stream) _exit(1);
        setvbuf(stream, NULL, _IONBF, 0);
        fputc('.', stream);
        examine(stream, magic, file, kind == 't');
        long length = ftell(stream);
        fclose(stream);
        send(0, reply, (size_t)length, 0);
    }
}
