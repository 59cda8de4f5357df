/// Every code of the library's own, once: number, name, text.
///
/// The header, `tg_strerror` and the Python exceptions are generated from this table. Numbers are the same on every
/// platform and are never used for anything else, not even after an error is retired.
#[allow(unreachable_pub, reason = "build.rs includes this file as well")]
pub const ERROR_TABLE: &[(i32, &str, &str)] = &[
    (-4001, "TG_EINVAL", "an argument is missing, out of range, or has unknown flags"),
    (-4002, "TG_ENOMEM", "not enough memory"),
    (-4003, "TG_ESTALE", "the id is not, or is no longer, that of an open object"),
    (-4004, "TG_EKIND", "the id belongs to an open object of another kind"),
    (-4005, "TG_EWRONGTHREAD", "the loop belongs to another thread, or to none"),
    (-4006, "TG_EREENTRANT", "a loop cannot be run, or waited for, from inside itself"),
    (-4007, "TG_EFORKED", "inherited by a fork: it can be freed, and a loop reopened"),
    (-4008, "TG_EPANIC", "the library has failed inside; the loop, if it is in one, refuses further work and can only be freed"),
    (-4009, "TG_EEXIST", "what was to be added is there already, or taken by something else"),
    (-4010, "TG_ENOENT", "what the call is about is not there"),
    (-4011, "TG_EBADFD", "the descriptor is not open, or was closed while it was watched"),
    (-4012, "TG_ETIMEDOUT", "the time is over"),
    (-4013, "TG_ENOBUFS", "a documented limit is reached, or there is not enough room"),
    (-4014, "TG_ELIMIT", "there is no id left to give out"),
    (-4015, "TG_ENOTSUP", "not supported on this platform or by this object"),
    (-4016, "TG_EBUSY", "what the call is about is in use at present"),
    (-4017, "TG_ECANCELED", "cancelled before it was over"),
    (-4018, "TG_ENONAME", "the host or service is not known"),
    (-4019, "TG_ETRYAGAIN", "the name service does not answer at present"),
    (-4020, "TG_ERESOLVE", "the name service has failed"),
    (-4021, "TG_EFRAME", "a frame is longer than the connection allows, or was cut off"),
];
